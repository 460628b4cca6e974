/** Any bytes as an Avro container file, as `mtf replay` is given it: read to its end, and once more
 *  as a source of events. A refusal says why. */
#include "fuzz/fuzz.h"
#include "ingest/container.h"
#include "ingest/container_file.h"

#include <stdio.h>
#include <unistd.h>

/** One file for all inputs, in memory where there is such a folder. */
static const char *write_file(const uint8_t *data, size_t size)
{
    static char path[64];
    if (!path[0]) {
        snprintf(path, sizeof path, "%s/mtf-fuzz-%ld.avro",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
    }
    FILE *file = fopen(path, "wb");
    MTF_ASSERT(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
    return path;
}

static void read_blocks(const char *path)
{
    mtf_container_file *file;
    mtf_err err = {0};
    uint64_t count;
    mtf_span records;
    mtf_status status = mtf_container_file_open(path, &file, &err);
    MTF_ASSERT(status == MTF_OK || err.msg[0] != '\0');
    if (status) return;
    while (status == MTF_OK) status = mtf_container_file_block(file, &count, &records, &err);
    MTF_ASSERT(status == MTF_CLOSED || err.msg[0] != '\0');
    mtf_container_file_close(file);
}

static void read_events(const char *path)
{
    mtf_source source = {0};
    mtf_decoder *decoder;
    mtf_err err = {0};
    mtf_input input;
    const mtf_decoder_config config = {.framing = MTF_FRAMING_SINGLE_OBJECT};
    MTF_ASSERT(mtf_decoder_open(&config, &decoder, NULL) == MTF_OK);
    mtf_status status = mtf_container_source(&path, 1, "topic", decoder, &source, &err);
    MTF_ASSERT(status == MTF_OK || err.msg[0] != '\0');
    while (status == MTF_OK) {
        status = source.poll(source.self, 0, &input, &err);
        if (status == MTF_OK && input.kind == MTF_INPUT_ASSIGN)
            status = source.start(source.self, input.partition, 0, &err);
    }
    if (source.close) source.close(source.self);
    mtf_decoder_close(decoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = write_file(data, size);
    read_blocks(path);
    read_events(path);
    unlink(path);
    return 0;
}
