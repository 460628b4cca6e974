/* Feeds every file of the folders it is given to a fuzz target, once: what a fuzzer once found
 * stays found, also where there is no libFuzzer. */
#include "core/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *folder)
{
    int count = 0;
    DIR *dir = opendir(folder);
    if (!dir) return 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        char path[1024];
        mtf_buf content = {0};
        mtf_err err;
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (mtf_file_read(path, 1U << 24, &content, &err)) {
            fprintf(stderr, "%s\n", err.msg);
            exit(EXIT_FAILURE);
        }
        uint8_t *copy =
            malloc(content.size ? content.size : 1); /* its own block, for the sanitizers */
        if (!copy) abort();
        if (content.size) memcpy(copy, content.data, content.size);
        LLVMFuzzerTestOneInput(copy, content.size);
        free(copy);
        mtf_buf_fini(&content);
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const int count = replay(argv[i]);
        printf("%s: %d inputs\n", argv[i], count);
        if (count == 0) return EXIT_FAILURE;
    }
    return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
