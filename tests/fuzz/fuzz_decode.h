/** The writers' schemas of fuzz_decode: an input's first byte, modulo their number, names one. */
#ifndef MTF_TESTS_FUZZ_DECODE_H
#define MTF_TESTS_FUZZ_DECODE_H

#define MTF_FUZZ_WRITERS 5

/** 0: our event; 1: our session; the others are these, for events and for sessions. */
static const char *const mtf_fuzz_schemas[MTF_FUZZ_WRITERS - 2] = {
    /* An event with fields of every kind that we skip, reordered, with promotions. */
    "{\"type\":\"record\",\"name\":\"ExplorationEvent\",\"fields\":["
    "{\"name\":\"tree\",\"type\":{\"type\":\"record\",\"name\":\"Tree\",\"fields\":["
    "{\"name\":\"leaf\",\"type\":[\"null\",\"bytes\",\"Tree\"]},"
    "{\"name\":\"kids\",\"type\":{\"type\":\"array\",\"items\":\"Tree\"}}]}},"
    "{\"name\":\"nulls\",\"type\":{\"type\":\"array\",\"items\":\"null\"}},"
    "{\"name\":\"tags\",\"type\":{\"type\":\"map\",\"values\":{\"type\":\"map\",\"values\":"
    "\"double\"}}},"
    "{\"name\":\"body\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"SessionEnd\",\"fields\":"
    "[]},"
    "{\"type\":\"record\",\"name\":\"Request\",\"fields\":["
    "{\"name\":\"items\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":"
    "\"Item\",\"fields\":["
    "{\"name\":\"predictions\",\"type\":{\"type\":\"array\",\"items\":\"long\"}},"
    "{\"name\":\"item_id\",\"type\":\"bytes\"}]}}},"
    "{\"name\":\"bucket\",\"type\":{\"type\":\"enum\",\"name\":\"B\",\"symbols\":[\"new\","
    "\"control\",\"explore\"]}},"
    "{\"name\":\"policy_version\",\"type\":\"int\"},"
    "{\"name\":\"state\",\"type\":{\"type\":\"array\",\"items\":\"int\"}},"
    "{\"name\":\"action\",\"type\":{\"type\":\"array\",\"items\":\"float\"}},"
    "{\"name\":\"baseline_action\",\"type\":{\"type\":\"array\",\"items\":\"float\"}}]}]},"
    "{\"name\":\"event_time_ms\",\"type\":\"int\"},{\"name\":\"user_id\",\"type\":[\"int\","
    "\"string\"]},"
    "{\"name\":\"event_id\",\"type\":\"bytes\"}]}",
    /* A session whose steps have no fields but those without defaults. */
    "{\"type\":\"record\",\"name\":\"Session\",\"fields\":["
    "{\"name\":\"steps\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":"
    "\"Step\",\"fields\":["
    "{\"name\":\"request\",\"type\":{\"type\":\"record\",\"name\":\"Request\",\"fields\":["
    "{\"name\":\"policy_version\",\"type\":\"long\"},"
    "{\"name\":\"bucket\",\"type\":{\"type\":\"enum\",\"name\":\"B\",\"symbols\":[\"explore\"]}},"
    "{\"name\":\"state\",\"type\":{\"type\":\"array\",\"items\":\"float\"}},"
    "{\"name\":\"action\",\"type\":{\"type\":\"array\",\"items\":\"float\"}},"
    "{\"name\":\"baseline_action\",\"type\":{\"type\":\"array\",\"items\":\"float\"}},"
    "{\"name\":\"items\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":"
    "\"Item\",\"fields\":["
    "{\"name\":\"item_id\",\"type\":\"string\"},"
    "{\"name\":\"predictions\",\"type\":{\"type\":\"array\",\"items\":\"float\"}}]}}}]}},"
    "{\"name\":\"time_ms\",\"type\":\"long\"},{\"name\":\"event_id\",\"type\":\"string\"}]}}},"
    "{\"name\":\"session_id\",\"type\":{\"type\":\"fixed\",\"name\":\"I\",\"size\":16}},"
    "{\"name\":\"user_id\",\"type\":\"string\"},{\"name\":\"started_ms\",\"type\":\"long\"},"
    "{\"name\":\"ended_ms\",\"type\":\"long\"},"
    "{\"name\":\"end_reason\",\"type\":{\"type\":\"enum\",\"name\":\"R\",\"symbols\":[\"gap\","
    "\"odd\"]}},"
    "{\"name\":\"truncated_head\",\"type\":\"boolean\"},{\"name\":\"truncated_tail\",\"type\":"
    "\"boolean\"}]}",
    /* An event of one body. */
    "{\"type\":\"record\",\"name\":\"E\",\"fields\":[{\"name\":\"event_id\",\"type\":\"string\"},"
    "{\"name\":\"user_id\",\"type\":\"string\"},{\"name\":\"event_time_ms\",\"type\":\"long\"},"
    "{\"name\":\"body\",\"type\":{\"type\":\"record\",\"name\":\"Feedback\",\"fields\":["
    "{\"name\":\"request_id\",\"type\":\"string\"},{\"name\":\"request_time_ms\",\"type\":\"long\"}"
    ","
    "{\"name\":\"item_id\",\"type\":\"string\"},{\"name\":\"signals\",\"type\":{\"type\":\"array\","
    "\"items\":"
    "{\"type\":\"record\",\"name\":\"Signal\",\"fields\":[{\"name\":\"value\",\"type\":\"float\"},"
    "{\"name\":\"name\",\"type\":\"string\"}]}}}]}}]}",
};

#endif
