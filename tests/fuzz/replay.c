/** Goal: what the fuzzer once found stays fixed, also where there is no fuzzer. Method: every file
 * of a folder through LLVMFuzzerTestOneInput. Usage: replay_<target> FOLDER */
#include "core/file.h"
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static int replay_file(const char *folder, const char *name)
{
    char path[4096];
    mtf_buf input = {0};
    mtf_err err = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const mtf_status status = mtf_file_read(path, 1 << 20, &input, &err);
    if (status == MTF_OK) {
        uint8_t *exact = malloc(input.size ? input.size : 1); /* a sanitizer sees where it ends */
        MTF_ASSERT(exact);
        if (input.size) memcpy(exact, input.data, input.size);
        LLVMFuzzerTestOneInput(exact, input.size);
        free(exact);
    }
    if (status != MTF_OK) fprintf(stderr, "%s\n", err.msg);
    mtf_buf_fini(&input);
    return status == MTF_OK;
}

static int is_input(const struct dirent *file)
{
    return file->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    struct dirent **files;
    int count = argc == 2 ? scandir(argv[1], &files, is_input, alphasort) : -1;
    int replayed = 0;
    if (count <= 0) {
        fprintf(stderr, "usage: %s FOLDER, with inputs in it\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        replayed += replay_file(argv[1], files[i]->d_name);
        free(files[i]);
    }
    free(files);
    printf("%d inputs\n", replayed);
    return replayed == count ? 0 : 1;
}
