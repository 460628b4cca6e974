#include "ingest/kafka_leader.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "ingest/kafka_common.h"

#define SESSION_MS "10000" /* a learner that died is missed for so long */

enum {
    POLL_MS = 100,
    CALL_MS = 10000,
    REOPEN_MS = 1000,
};

typedef enum place {
    JOINING, /* not told its place yet */
    STANDBY,
    REJOINING, /* led, and the group is being rebalanced: nobody else leads yet */
    LEADING,
} place;

struct mtf_kafka_leader {
    const mtf_settings *settings;
    char topic[250], group[250];
    int64_t session_ms;
    pthread_t thread;
    bool started;
    atomic_bool closing;
    bool leaving; /* on the thread: in close */
    _Atomic int place;
    _Atomic int64_t generation; /* counts changes of place */
    pthread_mutex_t lock;       /* handle.rk is not replaced while confirm uses it */
    mtf_kafka_handle handle;
    /* The thread's own. */
    bool lost;                 /* another may lead by now: queue at the end again */
    int64_t rejoining_ns;      /* since when REJOINING */
    rd_kafka_resp_err_t error; /* last logged, so that it is not logged again and again */
};

static void move_to(mtf_kafka_leader *leader, place to)
{
    static const char *const words[] = {"joining", "standby", "rejoining", "leading"};
    const place from = (place)atomic_load(&leader->place);
    if (from == to) return;
    atomic_store(&leader->place, (int)to);
    atomic_fetch_add(&leader->generation, 1);
    mtf_log_line(leader->handle.log, MTF_LOG_INFO, "leader", "state=%s was=%s topic=%s group=%s",
                 words[to], words[from], leader->topic, leader->group);
}

/** Inside rd_kafka_consumer_poll and rd_kafka_consumer_close, on the thread. The partition is taken
 *  and paused at its end: nothing is read from it. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    mtf_kafka_leader *leader = ((mtf_kafka_handle *)opaque)->owner;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        if (leader->leaving) return; /* close takes it back; an answer may hang: #4884 */
        for (int i = 0; i < list->cnt; i++) list->elems[i].offset = RD_KAFKA_OFFSET_END;
        rd_kafka_assign(rk, list);
        if (list->cnt > 0) rd_kafka_pause_partitions(rk, list);
        move_to(leader, list->cnt > 0 ? LEADING : STANDBY);
        return;
    }
    const bool led = atomic_load(&leader->place) >= REJOINING;
    leader->lost |= led && rd_kafka_assignment_lost(rk);
    if (leader->lost)
        rd_kafka_unsubscribe(rk); /* or it would rejoin under its old name, and lead */
    rd_kafka_assign(rk, NULL);
    leader->rejoining_ns = mtf_clock_mono_ns();
    move_to(leader, led && !leader->lost && !atomic_load(&leader->closing) ? REJOINING : STANDBY);
}

static bool operator_set(const mtf_settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->kafka_count; i++) {
        if (settings->kafka[i].scope != MTF_KAFKA_PRODUCER &&
            strcmp(settings->kafka[i].name, name) == 0)
            return true;
    }
    return false;
}

/** The group's leader hands the partition to the smallest member id, and brokers make the id of the
 *  client's: named after when they came, the oldest member keeps the partition whoever joins. */
static mtf_status set_conf(mtf_kafka_leader *leader, rd_kafka_conf_t *conf, mtf_err *err)
{
    char id[64], text[32];
    size_t size = sizeof text;
    snprintf(id, sizeof id, "mtf-leader-%016" PRIx64, (uint64_t)mtf_clock_wall_ms());
    mtf_status status = mtf_kafka_conf_set(conf, "client.id", id, err);
    if (!status) status = mtf_kafka_conf_set(conf, "group.id", leader->group, err);
    if (!status && !operator_set(leader->settings, "session.timeout.ms"))
        status = mtf_kafka_conf_set(conf, "session.timeout.ms", SESSION_MS, err);
    if (status) return status;
    if (rd_kafka_conf_get(conf, "session.timeout.ms", text, &size) == RD_KAFKA_CONF_OK)
        leader->session_ms = strtoll(text, NULL, 10);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    return MTF_OK;
}

static mtf_status join(mtf_kafka_leader *leader, mtf_err *err)
{
    rd_kafka_conf_t *conf = NULL;
    mtf_status status =
        mtf_kafka_conf(leader->settings, MTF_KAFKA_CONSUMER, &leader->handle, &conf, err);
    if (!status) status = set_conf(leader, conf, err);
    if (!status) status = mtf_kafka_handle_open(&leader->handle, RD_KAFKA_CONSUMER, &conf, err);
    if (status) {
        if (conf) rd_kafka_conf_destroy(conf);
        return status;
    }
    rd_kafka_poll_set_consumer(leader->handle.rk);
    return MTF_OK;
}

static void leave(mtf_kafka_leader *leader)
{
    pthread_mutex_lock(&leader->lock);
    if (leader->handle.rk) {
        leader->leaving = true;
        rd_kafka_consumer_close(leader->handle.rk);
        rd_kafka_destroy(leader->handle.rk);
        leader->handle.rk = NULL;
        leader->leaving = false;
    }
    pthread_mutex_unlock(&leader->lock);
    move_to(leader, STANDBY);
}

/** A new member at the end of the queue; tried again by the thread when it fails. */
static void queue_again(mtf_kafka_leader *leader)
{
    mtf_err err = {0};
    leave(leader);
    pthread_mutex_lock(&leader->lock);
    mtf_status status = join(leader, &err);
    if (!status) status = mtf_kafka_subscribe(&leader->handle, leader->topic, &err);
    pthread_mutex_unlock(&leader->lock);
    leader->lost = status != MTF_OK;
    if (!status) return;
    mtf_log_line(leader->handle.log, MTF_LOG_WARN, "leader.rejoin", "topic=%s reason=\"%s\"",
                 leader->topic, err.msg);
    const struct timespec pause = {REOPEN_MS / 1000, 0};
    nanosleep(&pause, NULL);
}

/** Said once: librdkafka goes on trying by itself, except after a fatal error. */
static void on_error(mtf_kafka_leader *leader, const rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF || message->err == leader->error) return;
    leader->error = message->err;
    mtf_log_line(leader->handle.log, MTF_LOG_WARN, "leader.error", "topic=%s reason=\"%s\"",
                 leader->topic, rd_kafka_message_errstr(message));
}

static void *run(void *arg)
{
    mtf_kafka_leader *leader = arg;
    while (!atomic_load(&leader->closing)) {
        if (leader->lost || rd_kafka_fatal_error(leader->handle.rk, NULL, 0)) queue_again(leader);
        if (!leader->handle.rk) continue;
        rd_kafka_message_t *message = rd_kafka_consumer_poll(leader->handle.rk, POLL_MS);
        if (message && message->err) on_error(leader, message);
        if (message) rd_kafka_message_destroy(message);
        const int64_t rejoining_ns = mtf_clock_mono_ns() - leader->rejoining_ns;
        if (atomic_load(&leader->place) == REJOINING &&
            rejoining_ns > leader->session_ms * INT64_C(1000000))
            move_to(leader, STANDBY);
    }
    leave(leader);
    return NULL;
}

static mtf_status check_topic(mtf_kafka_leader *leader, mtf_err *err)
{
    int32_t count = 0;
    const mtf_status status =
        mtf_kafka_find_topic(&leader->handle, leader->topic, CALL_MS, NULL, &count, err);
    if (status || count == 1) return status;
    return mtf_fail(err, MTF_INVALID,
                    "topic %s has %" PRId32
                    " partitions, each of which would have a leader; delete "
                    "it and create it with --partitions 1, or name another as topics.leader",
                    leader->topic, count);
}

mtf_status mtf_kafka_leader_open(const mtf_settings *settings, const mtf_log *log,
                                 const char *topic, const char *group, mtf_kafka_leader **leader,
                                 mtf_err *err)
{
    *leader = NULL;
    mtf_kafka_leader *made = calloc(1, sizeof *made);
    if (!made) return mtf_fail(err, MTF_NOMEM, "kafka leader: out of memory");
    made->settings = settings;
    made->handle = (mtf_kafka_handle){.log = log, .role = "leader", .owner = made};
    snprintf(made->topic, sizeof made->topic, "%s", topic);
    snprintf(made->group, sizeof made->group, "%s", group);
    made->handle.group = made->group;
    pthread_mutex_init(&made->lock, NULL);
    mtf_status status = join(made, err);
    if (!status) status = check_topic(made, err);
    if (!status) status = mtf_kafka_subscribe(&made->handle, made->topic, err);
    if (!status) {
        made->started = pthread_create(&made->thread, NULL, run, made) == 0;
        if (!made->started) status = mtf_fail(err, MTF_NOMEM, "kafka leader: no thread");
    }
    if (status) {
        mtf_kafka_leader_close(made);
        return status;
    }
    *leader = made;
    return MTF_OK;
}

void mtf_kafka_leader_close(mtf_kafka_leader *leader)
{
    if (!leader) return;
    atomic_store(&leader->closing, true);
    if (leader->started)
        pthread_join(leader->thread, NULL);
    else
        leave(leader);
    pthread_mutex_destroy(&leader->lock);
    free(leader);
}

bool mtf_kafka_leader_leads(const mtf_kafka_leader *leader)
{
    return atomic_load_explicit(&leader->place, memory_order_acquire) >= REJOINING;
}

/** Commits the partition's position 0, which means nothing but is taken from members only: the
 *  brokers know a member by its id and generation. */
static mtf_status commit_position(mtf_kafka_leader *leader, mtf_err *err)
{
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    rd_kafka_queue_t *answers = rd_kafka_queue_new(leader->handle.rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, leader->topic, 0)->offset = 0;
    code = rd_kafka_commit_queue(leader->handle.rk, list, answers, NULL, NULL);
    if (!code) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(answers, CALL_MS);
        code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
        const rd_kafka_topic_partition_list_t *done =
            event ? rd_kafka_event_topic_partition_list(event) : NULL;
        for (int i = 0; done && i < done->cnt && !code; i++) code = done->elems[i].err;
        if (event) rd_kafka_event_destroy(event);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(answers);
    return code ? mtf_fail(err, MTF_AGAIN, "leadership of %s: %s", leader->topic,
                           rd_kafka_err2str(code))
                : MTF_OK;
}

mtf_status mtf_kafka_leader_confirm(mtf_kafka_leader *leader, mtf_err *err)
{
    const int64_t generation = atomic_load(&leader->generation);
    mtf_status status = MTF_AGAIN;
    pthread_mutex_lock(&leader->lock);
    if (leader->handle.rk && atomic_load(&leader->place) == LEADING)
        status = commit_position(leader, err);
    else
        mtf_fail(err, MTF_AGAIN, "this learner does not lead (topic %s)", leader->topic);
    pthread_mutex_unlock(&leader->lock);
    if (status == MTF_OK && atomic_load(&leader->generation) != generation)
        return mtf_fail(err, MTF_AGAIN, "leadership of %s has just moved", leader->topic);
    return status;
}
