/** Does a served version do worse than its parent? Asked of what users brought under each, as it
 * was logged: no model, nothing of what was explored, only the mean reward of a session.
 *
 *  Versions serve one after another, or side by side where some users have a canary.
 *  - One after another, the parent's sessions are those of the child's days and of a few days
 *    before, weighted to the child's hours of the day. What that cannot see: that days differ (a
 *    weekend, a holiday, a change elsewhere in the system). Such a difference counts as the
 * child's.
 *  - Side by side they are those of the very hours in which the child served, weighted to its
 *    sessions hour by hour: both met the same world, and different users by lot.
 *  Hours in which the parent served nobody are left out of both. Errors are by user, and a user who
 *  met both versions is drawn with both. */
#ifndef MTF_SERVED_H
#define MTF_SERVED_H

#include "learner/bootstrap.h"
#include "learner/store.h"

typedef struct mtf_served_config {
    const mtf_store *store;   /* borrowed, as all here */
    const mtf_reward *reward; /* formula 2 */
    int64_t child, parent;    /* versions */
    uint32_t days;            /* of the parent's sessions before the child's first day */
    bool side_by_side;        /* the very hours, not those of the day; days does not apply */
    int64_t sessions_max;     /* about; fewer users are taken, by hash, where there are more */
    int64_t draws;
    uint64_t seed;
} mtf_served_config;

typedef struct mtf_served {
    mtf_estimate child, parent;              /* reward of a session, undiscounted; rows: sessions */
    mtf_estimate difference;                 /* child - parent */
    int64_t child_sessions, parent_sessions; /* that count */
    double overlap; /* of the child's sessions: in hours of the day in which the parent served */
} mtf_served;

/** Sessions explored or served as they are, not those of the control group. A session counts under
 *  the version, and in the hour, of its first request; what it goes on with after midnight, UTC, is
 *  another one, for child and parent alike. All NaN where either served nobody. MTF_CORRUPT,
 *  MTF_IO: the store's; MTF_NOMEM. */
mtf_status mtf_served_compare(const mtf_served_config *config, mtf_served *out,
                              mtf_err *err) MTF_NODISCARD;

/** What makes a rollback. */
typedef struct mtf_served_limits {
    double z;         /* the difference is below -z standard errors, */
    double fall;      /* and the reward below (1 - fall) of the parent's, */
    int64_t sessions; /* of so many sessions of each, */
    double overlap;   /* in hours that overlap by so much */
} mtf_served_limits;

/** False also where anything could not be measured: a doubt leaves what is served. */
bool mtf_served_worse(const mtf_served *served, const mtf_served_limits *limits);

#endif
