/** Any text as an offset's metadata, as it is and with the checksum that it should have. A place
 * that parses prints as the same text, and a machine takes it up, replays nothing and goes live. */
#include "core/hash.h"
#include "fuzz/fuzz.h"
#include "sessionize/machine.h"

#include <inttypes.h>
#include <stdio.h>

static mtf_status drop(void *self, const mtf_activity *activity, int64_t headless_ms, mtf_err *err)
{
    (void)self, (void)activity, (void)headless_ms, (void)err;
    return MTF_OK;
}

/** Two starts: at the place itself, and where retention has taken all before it. */
static void start(const mtf_place *place, bool replay)
{
    const mtf_machine_config config = {.gap_ms = 1800000,
                                       .grace_ms = 60000,
                                       .out_of_orderness_ms = 5000,
                                       .max_future_ms = 300000,
                                       .max_duration_ms = 21600000,
                                       .max_events = 2000};
    const mtf_machine_output output = {.closed = drop};
    mtf_keeper keeper = {0};
    mtf_machine *machine = mtf_machine_new(&config, &output, &keeper, place,
                                           replay ? place->safe_offset : place->next_offset);
    MTF_ASSERT(machine);
    if (machine->replaying) mtf_machine_go_live(machine);
    mtf_place next;
    char text[MTF_METADATA_BYTES_MAX + 1];
    mtf_machine_place(machine, &next);
    MTF_ASSERT(next.next_offset >= place->safe_offset);
    mtf_place_print(&next, 1, text);
    mtf_machine_free(machine);
    mtf_keeper_fini(&keeper);
}

static void parse(const char *text)
{
    mtf_place place;
    uint64_t function;
    mtf_err err = {0};
    char printed[MTF_METADATA_BYTES_MAX + 1];
    if (mtf_place_parse(text, &place, &function, &err) != MTF_OK) {
        MTF_ASSERT(err.msg[0] != '\0');
        return;
    }
    mtf_place_print(&place, function, printed);
    MTF_ASSERT(strcmp(text, printed) == 0);
    start(&place, true);
    start(&place, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    char summed[MTF_METADATA_BYTES_MAX + 20];
    parse(text);
    if (strlen(text) <= MTF_METADATA_BYTES_MAX) {
        snprintf(summed, sizeof summed, "%s %016" PRIx64, text, mtf_hash64(text, strlen(text)));
        parse(summed);
    }
    free(text);
    return 0;
}
