#include "sim/sim_private.h"

#include "sim/reference.inc"

#include <inttypes.h>

mtf_status mtf_sim_reference_get(const mtf_sim *sim, mtf_sim_reference *reference, mtf_err *err)
{
    if (sim->hash != written_reference.world) {
        return mtf_fail(
            err, MTF_INVALID,
            "the committed reference values belong to another world, reward or action table "
            "(%016" PRIx64 ", here %016" PRIx64
            "): use the default reward.* and policy.actions, or run "
            "mtf simulate --describe --write",
            written_reference.world, sim->hash);
    }
    *reference = written_reference;
    return MTF_OK;
}

typedef struct sim_row {
    const char *name, *field;
    const mtf_sim_value *value;
} sim_row;

enum { ROWS = 4 };

static void rows_of(const mtf_sim_reference *reference, sim_row *rows)
{
    rows[0] = (sim_row){"initial", "initial", &reference->initial};
    rows[1] = (sim_row){"best constant", "best_constant", &reference->best_constant};
    rows[2] = (sim_row){"best personalised", "best_personalised", &reference->best_personalised};
    rows[3] = (sim_row){"best myopic", "best_myopic", &reference->best_myopic};
}

void mtf_sim_reference_text(const mtf_sim_reference *reference, mtf_buf *out)
{
    sim_row rows[ROWS];
    rows_of(reference, rows);
    mtf_buf_printf(out, "world %016" PRIx64 "\n%-18s %8s %18s %9s %7s %7s %7s %9s %9s\n",
                   reference->world, "reward per session", "mean", "95 % interval", "requests",
                   "valid", "watch s", "finish", "positive", "negative");
    for (int i = 0; i < ROWS; i++) {
        const mtf_sim_value *value = rows[i].value;
        mtf_buf_printf(out, "%-18s %8.3f %9.3f..%7.3f %9.3f %7.4f %7.2f %7.4f %9.4f %9.4f\n",
                       rows[i].name, value->mean, value->low, value->high, value->session_requests,
                       value->behaviours[SIM_VALID], value->behaviours[SIM_WATCH],
                       value->behaviours[SIM_FINISH], value->behaviours[SIM_POSITIVE],
                       value->behaviours[SIM_NEGATIVE]);
    }
    const double best = reference->best_personalised.mean;
    mtf_buf_printf(
        out, "personalised over constant %.3f, long-sighted over myopic %.3f, over initial %.3f\n",
        best / reference->best_constant.mean, best / reference->best_myopic.mean,
        best / reference->initial.mean);
}

void mtf_sim_reference_json(const mtf_sim_reference *reference, mtf_buf *out)
{
    sim_row rows[ROWS];
    rows_of(reference, rows);
    mtf_buf_printf(out, "{\"world\":\"%016" PRIx64 "\"", reference->world);
    for (int i = 0; i < ROWS; i++) {
        const mtf_sim_value *value = rows[i].value;
        mtf_buf_printf(
            out,
            ",\"%s\":{\"mean\":%.6f,\"ci\":[%.6f,%.6f],\"session_requests\":%.6f,\"behaviours\":{",
            rows[i].field, value->mean, value->low, value->high, value->session_requests);
        for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++)
            mtf_buf_printf(out, "%s\"%s\":%.6f", b == 0 ? "" : ",", sim_behaviour_name(b),
                           value->behaviours[b]);
        mtf_buf_printf(out, "}}");
    }
    mtf_buf_printf(out, "}\n");
}

void mtf_sim_reference_source(const mtf_sim_reference *reference, mtf_buf *out)
{
    sim_row rows[ROWS];
    rows_of(reference, rows);
    mtf_buf_printf(
        out,
        "/* Made by mtf simulate --describe --write; checked by tests/sim/test_reference.c. */\n"
        "// clang-format off\n"
        "static const mtf_sim_reference written_reference = {\n    .world = 0x%016" PRIx64 "u,\n",
        reference->world);
    for (int i = 0; i < ROWS; i++) {
        const mtf_sim_value *value = rows[i].value;
        mtf_buf_printf(out, "    .%s = {%.6f, %.6f, %.6f, %.6f, {", rows[i].field, value->mean,
                       value->low, value->high, value->session_requests);
        for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++)
            mtf_buf_printf(out, "%s%.6f", b == 0 ? "" : ", ", value->behaviours[b]);
        mtf_buf_printf(out, "}},\n");
    }
    mtf_buf_printf(out, "};\n// clang-format on\n");
}
