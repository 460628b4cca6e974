/** Goal: of several learners one leads; the next one leads when it leaves; a topic that would make
 *  two leaders is refused. Method: mock brokers and real members with short sessions. Who is missed
 *  when it dies, and that the oldest keeps its place, is tested on a real broker: the mock names
 *  members as it likes. */
#include "ingest/kafka_fixture.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <time.h>

#include "ingest/kafka_leader.h"

#define TOPIC "leader"

static mtf_kafka_leader *join(kafka_fixture *fixture)
{
    mtf_err err;
    mtf_kafka_leader *leader;
    mtf_assert_ok(mtf_kafka_leader_open(&fixture->settings, NULL, TOPIC, "group", &leader, &err),
                  &err);
    return leader;
}

static void sleep_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

/** Waits until one of two leads, and returns it; they never both do for long. */
static mtf_kafka_leader *wait_for_one(mtf_kafka_leader *a, mtf_kafka_leader *b)
{
    for (int waited = 0; waited < WAIT_MS; waited += 20) {
        const bool a_leads = mtf_kafka_leader_leads(a), b_leads = b && mtf_kafka_leader_leads(b);
        if (a_leads != b_leads) return a_leads ? a : b;
        sleep_ms(20);
    }
    fail_msg("nobody leads");
    return NULL;
}

/** The same, once the brokers say so too: while the group rebalances they say nothing. */
static mtf_kafka_leader *wait_for_confirmed(mtf_kafka_leader *a, mtf_kafka_leader *b)
{
    for (int waited = 0; waited < WAIT_MS; waited += 20) {
        mtf_kafka_leader *leads = wait_for_one(a, b);
        if (mtf_kafka_leader_confirm(leads, NULL) == MTF_OK) return leads;
        sleep_ms(20);
    }
    fail_msg("the brokers confirm nobody");
    return NULL;
}

static void one_leads_and_the_next_takes_over_when_it_leaves(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_err err;
    fixture_open(&fixture, TOPIC, 1);
    mtf_kafka_leader *first = join(&fixture);
    assert_false(mtf_kafka_leader_leads(first));
    assert_int_equal(mtf_kafka_leader_confirm(first, &err), MTF_AGAIN);
    assert_non_null(strstr(err.msg, "does not lead"));
    assert_ptr_equal(wait_for_confirmed(first, NULL), first);

    mtf_kafka_leader *second = join(&fixture);
    sleep_ms(4000); /* most rebalances of the mock's are shorter */
    mtf_kafka_leader *leads = wait_for_confirmed(first, second);
    mtf_kafka_leader *waits = leads == first ? second : first;
    assert_int_equal(mtf_kafka_leader_confirm(waits, &err), MTF_AGAIN);
    mtf_kafka_leader_close(leads);
    assert_ptr_equal(wait_for_confirmed(waits, NULL), waits);
    mtf_kafka_leader_close(waits);
    fixture_close(&fixture);
}

static void a_topic_that_would_have_two_leaders_is_refused(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_err err;
    mtf_kafka_leader *leader;
    fixture_open(&fixture, TOPIC, 2);
    assert_int_equal(mtf_kafka_leader_open(&fixture.settings, NULL, TOPIC, "group", &leader, &err),
                     MTF_INVALID);
    assert_non_null(strstr(err.msg, "topic leader has 2 partitions"));
    assert_non_null(strstr(err.msg, "--partitions 1"));
    assert_int_equal(
        mtf_kafka_leader_open(&fixture.settings, NULL, "nowhere", "group", &leader, &err),
        MTF_INVALID);
    assert_non_null(strstr(err.msg, "nowhere does not exist"));
    fixture_close(&fixture);
}

static void it_leads_no_longer_when_the_brokers_are_gone(void **state)
{
    (void)state;
    kafka_fixture fixture;
    mtf_err err;
    fixture_open(&fixture, TOPIC, 1);
    mtf_kafka_leader *leader = join(&fixture);
    wait_for_one(leader, NULL);
    rd_kafka_mock_broker_set_down(mtf_kafka_mock_cluster(fixture.mock), 1);
    for (int waited = 0; mtf_kafka_leader_leads(leader) && waited < WAIT_MS; waited += 20)
        sleep_ms(20);
    assert_false(mtf_kafka_leader_leads(leader));
    assert_int_equal(mtf_kafka_leader_confirm(leader, &err), MTF_AGAIN);
    rd_kafka_mock_broker_set_up(mtf_kafka_mock_cluster(fixture.mock), 1);
    assert_ptr_equal(wait_for_one(leader, NULL), leader);
    mtf_kafka_leader_close(leader);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_leads_and_the_next_takes_over_when_it_leaves),
        cmocka_unit_test(a_topic_that_would_have_two_leaders_is_refused),
        cmocka_unit_test(it_leads_no_longer_when_the_brokers_are_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
