/** `mtf replay FILE...`: Avro container files of events -> sessions, by the same machine as on
 * Kafka. */
#include "cli/cli.h"
#include "cli/file_sessions.h"
#include "cli/session_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/** Prints sessions as JSON lines. */
typedef struct printer {
    FILE *out;
    const char *path;
    mtf_buf lines;
} printer;

static mtf_status print_session(void *arg, const mtf_session *session, mtf_err *err)
{
    printer *p = arg;
    session_json_put(session, &p->lines);
    return p->lines.failed ? mtf_fail(err, MTF_NOMEM, "out of memory printing a session") : MTF_OK;
}

static mtf_status flush(void *arg, mtf_err *err)
{
    printer *p = arg;
    if (p->lines.size > 0 &&
        (fwrite(p->lines.data, 1, p->lines.size, p->out) != p->lines.size || fflush(p->out) != 0))
        return mtf_fail(err, MTF_IO, "write %s: %s", p->path, strerror(errno));
    mtf_buf_clear(&p->lines);
    return MTF_OK;
}

static mtf_status replay(mtf_cli *cli, const char *out_path, mtf_err *err)
{
    if (!out_path) return file_sessions_read(cli, "replay", &(file_sessions){0}, err);
    printer p = {.path = out_path,
                 .out = strcmp(out_path, "-") == 0 ? stdout : fopen(out_path, "w")};
    if (!p.out) return mtf_fail(err, MTF_IO, "create %s: %s", out_path, strerror(errno));
    const file_sessions to = {&p, print_session, flush};
    mtf_status status = file_sessions_read(cli, "replay", &to, err);
    if (p.out != stdout && fclose(p.out) != 0 && status == MTF_OK)
        status = mtf_fail(err, MTF_IO, "close %s: %s", out_path, strerror(errno));
    mtf_buf_fini(&p.lines);
    return status;
}

int mtf_command_replay(mtf_cli *cli, int argc, char **argv)
{
    const char *out = NULL;
    const mtf_option options[] = {
        {"--out", MTF_OPTION_TEXT, &out, 0, 0, "FILE",
         "sessions as JSON lines, - for standard output"},
    };
    mtf_err err = {0};
    mtf_status status =
        mtf_cli_read(cli, argc, argv, "replay FILE.avro ... [--out FILE]", options, 1, NULL, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    if (cli->word_count == 0) {
        status = mtf_fail(&err, MTF_INVALID,
                          "replay: name the Avro files (written by `mtf simulate --out FILE`)");
    } else {
        status = replay(cli, out, &err);
    }
    return mtf_cli_exit_work(status, &err);
}
