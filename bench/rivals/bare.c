/** The least that librdkafka alone takes, as limits for bench/ingest.
 *
 *    bare consume BOOTSTRAP IN COUNT         reads COUNT records of all partitions, and drops them
 *    bare copy BOOTSTRAP IN COUNT OUT        the same, and joins every 20 records of a key, as
 * bytes, each with a length of 4 bytes before it, into one record of OUT
 *
 *  The copy is exactly once as to what it has put out: a transaction a second, with the positions
 * of a group. What it is gathering would not survive it; a copy that took care of that would do
 * more, so as a limit it errs on the high side. Prints {"events", "seconds", "cpu_s"}, from the
 * first record to the last one's commit. */
#include <librdkafka/rdkafka.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 4096,
    GATHER = 20,
    SLOTS = 1 << 17,
    COMMIT_MS = 1000,
    CALL_MS = 30000,
    PARTITIONS_MAX = 64
};

typedef struct gathered {
    char *key;
    size_t key_size, size, capacity;
    int count;
    char *bytes;
} gathered;

typedef struct bare {
    const char *in, *out;
    rd_kafka_t *consumer, *producer;
    rd_kafka_topic_t *out_topic;
    int64_t next[PARTITIONS_MAX];
    gathered *slots;
} bare;

static void die(const char *what, const char *words)
{
    fprintf(stderr, "bare: %s: %s\n", what, words);
    exit(1);
}

static void check(rd_kafka_error_t *error, const char *what)
{
    if (error) die(what, rd_kafka_error_string(error));
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double cpu_s(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           1e-6 * (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

/** pairs: name, value, ..., NULL. */
static rd_kafka_t *open_client(rd_kafka_type_t type, const char *const *pairs)
{
    char words[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; *pairs; pairs += 2) {
        if (rd_kafka_conf_set(conf, pairs[0], pairs[1], words, sizeof words)) die(pairs[0], words);
    }
    rd_kafka_t *rk = rd_kafka_new(type, conf, words, sizeof words);
    if (!rk) die("client", words);
    return rk;
}

static void open_consumer(bare *b, const char *bootstrap)
{
    const char *const pairs[] = {"bootstrap.servers",
                                 bootstrap,
                                 "group.id",
                                 b->out ? "bench-copy" : "bench-consume",
                                 "enable.auto.commit",
                                 "false",
                                 "enable.auto.offset.store",
                                 "false",
                                 "auto.offset.reset",
                                 "earliest",
                                 "isolation.level",
                                 "read_committed",
                                 "fetch.message.max.bytes",
                                 "4194304",
                                 "queued.max.messages.kbytes",
                                 "262144",
                                 "queued.min.messages",
                                 "1000000",
                                 NULL};
    b->consumer = open_client(RD_KAFKA_CONSUMER, pairs);
    rd_kafka_poll_set_consumer(b->consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, b->in, RD_KAFKA_PARTITION_UA);
    const rd_kafka_resp_err_t code = rd_kafka_subscribe(b->consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code) die("subscribe", rd_kafka_err2str(code));
}

static void open_producer(bare *b, const char *bootstrap)
{
    const char *const pairs[] = {"bootstrap.servers",
                                 bootstrap,
                                 "transactional.id",
                                 "bench-copy",
                                 "partitioner",
                                 "murmur2_random",
                                 "compression.type",
                                 "lz4",
                                 "linger.ms",
                                 "50",
                                 "batch.size",
                                 "1000000",
                                 "queue.buffering.max.kbytes",
                                 "131072",
                                 "retry.backoff.ms",
                                 "5",
                                 NULL};
    b->producer = open_client(RD_KAFKA_PRODUCER, pairs);
    check(rd_kafka_init_transactions(b->producer, CALL_MS), "init");
    check(rd_kafka_begin_transaction(b->producer), "begin");
    b->out_topic = rd_kafka_topic_new(b->producer, b->out, NULL);
    b->slots = calloc(SLOTS, sizeof *b->slots);
    if (!b->slots) die("slots", "no memory");
}

static gathered *find(bare *b, const char *key, size_t size)
{
    uint64_t hash = 14695981039346656037U;
    for (size_t i = 0; i < size; i++) hash = (hash ^ (uint8_t)key[i]) * 1099511628211U;
    for (uint64_t at = hash;; at++) {
        gathered *slot = &b->slots[at % SLOTS];
        if (!slot->key) {
            slot->key = malloc(size);
            if (!slot->key) die("key", "no memory");
            memcpy(slot->key, key, size);
            slot->key_size = size;
            return slot;
        }
        if (slot->key_size == size && memcmp(slot->key, key, size) == 0) return slot;
    }
}

static void put(const bare *b, gathered *slot)
{
    while (rd_kafka_produce(b->out_topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, slot->bytes,
                            slot->size, slot->key, slot->key_size, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            die("produce", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(b->producer, 10);
    }
    slot->size = 0;
    slot->count = 0;
}

static void gather(bare *b, const rd_kafka_message_t *message)
{
    gathered *slot = find(b, message->key, message->key_len);
    const size_t size = message->len;
    const unsigned char head[4] = {(unsigned char)(size >> 24), (unsigned char)(size >> 16),
                                   (unsigned char)(size >> 8), (unsigned char)size};
    if (slot->size + size + 4 > slot->capacity) {
        slot->capacity = 2 * (slot->size + size + 4);
        slot->bytes = realloc(slot->bytes, slot->capacity);
        if (!slot->bytes) die("gather", "no memory");
    }
    memcpy(slot->bytes + slot->size, head, 4);
    memcpy(slot->bytes + slot->size + 4, message->payload, size);
    slot->size += size + 4;
    if (++slot->count == GATHER) put(b, slot);
}

static void commit(const bare *b, int last)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS_MAX);
    for (int32_t p = 0; p < PARTITIONS_MAX; p++)
        if (b->next[p]) rd_kafka_topic_partition_list_add(list, b->in, p)->offset = b->next[p];
    rd_kafka_consumer_group_metadata_t *member = rd_kafka_consumer_group_metadata(b->consumer);
    check(rd_kafka_send_offsets_to_transaction(b->producer, list, member, CALL_MS), "positions");
    check(rd_kafka_commit_transaction(b->producer, CALL_MS), "commit");
    if (!last) check(rd_kafka_begin_transaction(b->producer), "begin");
    rd_kafka_consumer_group_metadata_destroy(member);
    rd_kafka_topic_partition_list_destroy(list);
}

/** One record or error, which it destroys; 1 for a record. */
static long take(bare *b, rd_kafka_message_t *message)
{
    if (message->err) die("read", rd_kafka_message_errstr(message));
    if (message->partition >= PARTITIONS_MAX) die("read", "too many partitions");
    b->next[message->partition] = message->offset + 1;
    if (b->out) gather(b, message);
    rd_kafka_message_destroy(message);
    return 1;
}

int main(int argc, char **argv)
{
    static rd_kafka_message_t *batch[BATCH];
    const int copies = argc == 6 && strcmp(argv[1], "copy") == 0;
    if (!copies && !(argc == 5 && strcmp(argv[1], "consume") == 0)) {
        fprintf(stderr, "usage: bare consume BOOTSTRAP IN COUNT | copy BOOTSTRAP IN COUNT OUT\n");
        return 64;
    }
#ifdef __GLIBC__ /* as `mtf sessionize` does */
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
    (void)mallopt(M_TOP_PAD, 32 << 20);
#endif
    bare b = {.in = argv[3], .out = copies ? argv[5] : NULL};
    const long wanted = strtol(argv[4], NULL, 10);
    if (copies) open_producer(&b, argv[2]);
    open_consumer(&b, argv[2]);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(b.consumer);
    long events = 0;
    double started = 0, started_cpu = 0, committed = 0;
    while (events < wanted) {
        const ssize_t count = rd_kafka_consume_batch_queue(queue, 100, batch, BATCH);
        if (count < 0) die("read", rd_kafka_err2str(rd_kafka_last_error()));
        if (events == 0 && count > 0) started = committed = now_s(), started_cpu = cpu_s();
        for (ssize_t i = 0; i < count; i++) events += take(&b, batch[i]);
        if (!copies) continue;
        rd_kafka_poll(b.producer, 0);
        if (events && events < wanted && now_s() - committed >= 1e-3 * COMMIT_MS) {
            commit(&b, 0);
            committed = now_s();
        }
    }
    if (copies) commit(&b, 1);
    printf("{\"events\": %ld, \"seconds\": %.4f, \"cpu_s\": %.4f}\n", events, now_s() - started,
           cpu_s() - started_cpu);
    fflush(stdout);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(b.consumer);
    _exit(0);
}
