/** Who of several learners trains and publishes: the owner of the one partition of a topic that
 *  nothing is written to. A member of a consumer group of its own, with a thread of its own, so
 * that hours of training never cost a heartbeat.
 *
 *  - The member that has been there longest leads: a newcomer waits behind it, and one that lost
 * its place queues at the end again.
 *  - Members are dynamic. A leader that is stopped leaves the group, and the next one leads within
 * a second or two; one that is killed, frozen or cut off is missed after session.timeout.ms (10 s
 *    unless kafka.consumer.session.timeout.ms says otherwise).
 *  - Leading is about who does the work. What makes the policy topics right is that publishing
 * fences and compares: a leader that was frozen may think for a moment that it still leads, so it
 * asks the brokers (confirm) before it publishes. */
#ifndef MTF_INGEST_KAFKA_LEADER_H
#define MTF_INGEST_KAFKA_LEADER_H

#include "core/log.h"
#include "core/settings.h"

typedef struct mtf_kafka_leader mtf_kafka_leader;

/** Joins in the background: it leads a few seconds later at the earliest. settings and log are
 *  borrowed until close. MTF_INVALID: the topic is not there or has not exactly one partition, a
 *  setting is refused; MTF_AGAIN: the brokers do not answer. */
mtf_status mtf_kafka_leader_open(const mtf_settings *settings, const mtf_log *log,
                                 const char *topic, const char *group, mtf_kafka_leader **leader,
                                 mtf_err *err) MTF_NODISCARD;
/** Leaves the group, so that the next one need not wait. NULL is fine. */
void mtf_kafka_leader_close(mtf_kafka_leader *leader);

/** As far as this process knows; any thread, costs one atomic load. While the group rebalances (a
 *  newcomer), the leader goes on leading until it is told otherwise, session.timeout.ms at most. */
bool mtf_kafka_leader_leads(const mtf_kafka_leader *leader);
/** Asks the brokers; any thread. MTF_AGAIN: it leads no longer, or they do not say so. */
mtf_status mtf_kafka_leader_confirm(mtf_kafka_leader *leader, mtf_err *err) MTF_NODISCARD;

#endif
