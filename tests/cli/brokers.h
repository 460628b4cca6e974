/** Mock brokers held by the test, for the program to connect to: topics, a settings file that
 * points at them, records put as they are, and records read back with their headers. */
#ifndef MTF_TEST_BROKERS_H
#define MTF_TEST_BROKERS_H

#include "cli/program.h"

#include "core/pipe.h"
#include "core/settings.h"
#include "ingest/kafka_mock.h"

#include <librdkafka/rdkafka.h>

typedef struct brokers {
    char folder[MTF_TEST_PATH], config[2 * MTF_TEST_PATH];
    mtf_kafka_mock *mock;
    mtf_settings settings;
    mtf_sink sink;
} brokers;

/** All topics of one partition but `without` (may be NULL), a folder, and in it mtf.yaml: quick
 *  commits, the store inside, then the lines of `more`. */
void brokers_open(brokers *b, const char *without, const char *more);
void brokers_close(brokers *b);
/** Puts one record, acknowledged. */
void brokers_put(brokers *b, const char *topic, const char *key, mtf_span value);
/** Waits until the topic has `count` records and gives each to `take`, from the first. */
void brokers_read(brokers *b, const char *topic, int count,
                  void (*take)(void *arg, int index, const rd_kafka_message_t *message), void *arg);
/** Fails unless the topic holds so many records now. */
void brokers_count(brokers *b, const char *topic, int64_t count);
/** A header's text; fails when it is not there. */
const char *brokers_header(const rd_kafka_message_t *message, const char *name);

#endif
