/** The hidden world, private to src/sim: what users want, how the multi-task model sees items, what
 *  a state shows. It is the same for every seed; users and draws hang on the seed. */
#ifndef MTF_SIM_WORLD_H
#define MTF_SIM_WORLD_H

#include <stdint.h>

#define SIM_TYPES      4
#define SIM_BEHAVIOURS 5 /* valid, watch, finish, positive, negative: the order of predictions */
#define SIM_ATTRIBUTES 5 /* of an item: lure, length, depth, delight, spam */
#define SIM_TRAITS     6
#define SIM_STATE      64
#define SIM_PROFILE    42 /* the first features: who the user is; the rest: what was done lately */
#define SIM_CANDIDATES 100
#define SIM_SHOWN      5
#define SIM_FEATURES   4 /* of an item: what it is, noisily, and noise */
#define SIM_STEPS_MAX  20
#define SIM_WATCH_MAX  120.0f /* seconds of one item */

enum { SIM_VALID, SIM_WATCH, SIM_FINISH, SIM_POSITIVE, SIM_NEGATIVE };

/** How one kind of user answers to an item's attributes. */
typedef struct sim_type {
    float share;                 /* of users */
    float centre[2][3];          /* first three traits of the two groups she may come from */
    float taste[SIM_ATTRIBUTES]; /* what draws her in: acts on every behaviour at once */
    float worth[SIM_ATTRIBUTES]; /* what does her good: acts on temper only */
} sim_type;

/** How one behaviour comes about, and how the multi-task model predicts it. */
typedef struct sim_behaviour {
    float base; /* logit (watch: log seconds beyond the first ten) of the average user and item */
    float own;  /* effect of the attribute of the same index */
    float by_taste;  /* effect of taste . attributes */
    float seen_base; /* the prediction is sigmoid(seen_base + seen_slope * what is seen) *
                        calibration */
    float seen_slope;
    float calibration;
    float sight; /* correlation of what the model sees of the attribute with the attribute */
} sim_behaviour;

/** What makes the item matter (mtf_sim_config.items). A bait looks to the multi-task model as any
 * other item of its attributes does, and disappoints: only its features tell. And a list gives its
 * items room by their scores: the further one lies above its list's mean, the surer it is seen. So
 * an item's own action can be learnt from: of an item that was shown, what it is no longer hangs on
 * the action, only how well it is seen does. All 0: off. */
typedef struct sim_items {
    float bait_share; /* of candidates */
    float dull;       /* taken off the logits of a bait's valid, finish, positive and log watch */
    float gall;       /* added to that of negative */
    float harm;       /* taken off the worth of seeing one */
    float feature_noise;
    float room; /* of scores: an item one of it above the mean is seen with chance sigmoid(1) */
} sim_items;

typedef struct sim_world {
    sim_type types[SIM_TYPES];
    sim_behaviour behaviours[SIM_BEHAVIOURS];
    float spread;        /* of a user's traits round the centre of her group */
    float second_share;  /* of users of a type that live in its second group */
    float profile_noise; /* of a profile feature, the same in all requests of a user */
    float request_noise; /* of a profile feature, new at every request */
    /* Temper starts at start + spread * noise; a list moves it by worth * (mean worth of its items)
     * - wear - tiring * (lists before); the user stays with probability sigmoid(temper / scale). */
    float temper_start, temper_spread, temper_wear, temper_worth, temper_tiring, temper_scale;
    /* made by sim_world_init: */
    float profile_weight[SIM_PROFILE][SIM_TRAITS], profile_bias[SIM_PROFILE];
    float blind[SIM_ATTRIBUTES]; /* sqrt(1 - sight^2) */
    sim_items items;             /* last: the world without is what comes before it */
} sim_world;

void sim_world_init(sim_world *world);
/** Turns the items on. */
void sim_world_add_items(sim_world *world);
#endif
