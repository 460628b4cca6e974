/** Goal: a loop that stands still, a group that gives nothing and a replay are said, and nothing
 *  else is. Method: boards and counters set by hand; a reader beside a writer for the sanitizers.
 */
#include "ops/health.h"
#include "support/mtf_test.h"

static void assert_says(mtf_buf *reasons, const char *words)
{
    mtf_buf_put_u8(reasons, '\0');
    assert_string_equal((const char *)reasons->data, words);
    mtf_buf_clear(reasons);
}

static void only_a_loop_that_began_and_stopped_is_stalled(void **state)
{
    (void)state;
    mtf_board board;
    mtf_buf reasons = {0};
    mtf_board_init(&board);
    mtf_health_stalled(&board, "learn", 1000000, 5000, &reasons); /* still waiting for brokers */
    assert_says(&reasons, "");
    mtf_board_beat(&board, 1000);
    mtf_health_stalled(&board, "learn", 6000, 5000, &reasons);
    assert_says(&reasons, "");
    mtf_health_stalled(&board, "learn", 6001, 5000, &reasons);
    assert_says(&reasons, "learn: its loop has not moved for 5 s\n");
    mtf_board_beat(&board, 6001);
    mtf_health_stalled(&board, "learn", 6002, 5000, &reasons);
    assert_says(&reasons, "");
    mtf_buf_fini(&reasons);
    mtf_board_fini(&board);
}

static void partitions_that_are_rebuilt_are_counted(void **state)
{
    (void)state;
    mtf_board board;
    mtf_buf reasons = {0};
    mtf_board_init(&board);
    for (int recovering = 40; recovering >= 0; recovering--) {
        char words[100] = "";
        if (recovering)
            snprintf(words, sizeof words,
                     "sessionize: %d partitions are being rebuilt from the log\n", recovering);
        mtf_board_begin(&board);
        for (int i = 0; i < 40; i++)
            mtf_board_put(&board, (mtf_board_row){.partition = i, .recovering = i < recovering});
        mtf_board_end(&board);
        mtf_health_recovering(&board, "sessionize", &reasons);
        assert_says(&reasons, words);
    }
    mtf_buf_fini(&reasons);
    mtf_board_fini(&board);
}

static void an_empty_assignment_is_one(void **state)
{
    (void)state;
    mtf_kafka_source_counts counts = {0};
    mtf_buf reasons = {0};
    mtf_health_unassigned(&counts, "sessionize", &reasons);
    assert_says(&reasons, "sessionize: no partitions were assigned yet\n");
    mtf_counter_add(&counts.rebalances, 1);
    mtf_health_unassigned(&counts, "sessionize", &reasons);
    assert_says(&reasons, "");
    mtf_buf_fini(&reasons);
}

static void *write_rows(void *arg)
{
    mtf_board *board = arg;
    for (int64_t step = 1; step <= 2000; step++) {
        mtf_board_beat(board, step);
        mtf_board_begin(board);
        for (int i = 0; i < step % 50; i++)
            mtf_board_put(board, (mtf_board_row){.partition = i, .next_offset = step});
        mtf_board_end(board);
    }
    return NULL;
}

typedef struct look {
    int64_t step;
    int32_t rows;
} look;

static void take_row(void *arg, const mtf_board_row *row)
{
    look *l = arg;
    if (l->rows == 0) l->step = row->next_offset;
    assert_int_equal(row->next_offset, l->step);
    assert_int_equal(row->partition, l->rows++);
}

static void rows_are_seen_whole_from_another_thread(void **state)
{
    (void)state;
    mtf_board board;
    pthread_t thread;
    mtf_board_init(&board);
    assert_int_equal(pthread_create(&thread, NULL, write_rows, &board), 0);
    /* Until the last beat, 2000, is seen. */
    while (mtf_board_still_ms(&board, 2001) != 1) {
        look l = {0};
        mtf_board_read(&board, take_row, &l);
        if (l.rows) assert_int_equal(l.rows, l.step % 50);
    }
    pthread_join(thread, NULL);
    mtf_board_fini(&board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_loop_that_began_and_stopped_is_stalled),
        cmocka_unit_test(partitions_that_are_rebuilt_are_counted),
        cmocka_unit_test(an_empty_assignment_is_one),
        cmocka_unit_test(rows_are_seen_whole_from_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
