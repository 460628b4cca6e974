#include "publish/policy_book.h"

#include <inttypes.h>
#include <stdlib.h>

void mtf_policy_book_fini(mtf_policy_book *book)
{
    for (size_t i = 0; i < book->count; i++) mtf_policy_free(book->entries[i].policy);
    free(book->entries);
    *book = (mtf_policy_book){0};
}

static void remove_key(mtf_policy_book *book, const char *key)
{
    size_t kept = 0;
    for (size_t i = 0; i < book->count; i++) {
        if (strcmp(book->entries[i].key, key) == 0)
            mtf_policy_free(book->entries[i].policy);
        else
            book->entries[kept++] = book->entries[i];
    }
    book->count = kept;
}

/* Where (key, version) stands or would stand; any version is the same where there are only heads.
 */
static size_t find_place(const mtf_policy_book *book, const char *key, int64_t version, bool *found)
{
    size_t i = 0;
    *found = false;
    for (; i < book->count; i++) {
        const int order = strcmp(book->entries[i].key, key);
        const int64_t have = book->entries[i].policy->info.version;
        *found = order == 0 && (!book->every_version || have == version);
        if (*found || order > 0 || (order == 0 && have > version)) break;
    }
    return i;
}

/* *policy becomes the book's; left alone on failure. */
static mtf_status insert(mtf_policy_book *book, const char *key, mtf_policy **policy, mtf_err *err)
{
    bool found;
    const size_t place = find_place(book, key, (*policy)->info.version, &found);
    if (found) {
        mtf_policy **head = &book->entries[place].policy;
        if ((*head)->info.version > (*policy)->info.version) return MTF_OK;
        mtf_policy_free(*head);
        *head = *policy, *policy = NULL;
        return MTF_OK;
    }
    if (book->count == book->capacity) {
        const size_t capacity = book->capacity ? 2 * book->capacity : 8;
        mtf_policy_entry *entries = realloc(book->entries, capacity * sizeof *entries);
        if (!entries) return mtf_fail(err, MTF_NOMEM, "policy book: out of memory");
        book->entries = entries;
        book->capacity = capacity;
    }
    mtf_policy_entry *entry = book->entries + place;
    memmove(entry + 1, entry, (book->count - place) * sizeof *entry);
    memcpy(entry->key, key, strlen(key) + 1);
    entry->policy = *policy, *policy = NULL;
    book->count++;
    return MTF_OK;
}

static mtf_status add_record(mtf_policy_book *book, const char *key, mtf_span value, mtf_err *err)
{
    char expected[MTF_POLICY_KEY_CHARS];
    mtf_policy *policy = NULL;
    mtf_status status = mtf_policy_verify(book->keys, value, err);
    if (status == MTF_CORRUPT) book->unverified++;
    if (status == MTF_OK) status = mtf_policy_decode(value, &policy, err);
    if (status == MTF_CORRUPT) return MTF_SKIP;
    if (status) return status;
    mtf_policy_key(&policy->info, expected);
    if (strcmp(key, book->every_version ? policy->info.name : expected) != 0) {
        status =
            mtf_fail(err, MTF_SKIP, "policy record: under key %s lies version %" PRId64 " of %s",
                     key, policy->info.version, expected);
    } else if (!book->every_version && !mtf_policy_is_servable(&policy->info)) {
        status = mtf_fail(err, MTF_SKIP,
                          "policy record: %s version %" PRId64 " is not servable: verdict %s", key,
                          policy->info.version, policy->info.verdict);
    } else {
        status = insert(book, key, &policy, err);
    }
    mtf_policy_free(policy);
    return status;
}

mtf_status mtf_policy_book_add(mtf_policy_book *book, mtf_span key, mtf_span value, mtf_err *err)
{
    char text[MTF_POLICY_KEY_CHARS];
    mtf_status status = MTF_OK;
    if (key.size == 0 || key.size >= sizeof text || memchr(key.data, '\0', key.size)) {
        status = mtf_fail(err, MTF_SKIP, "policy record: a key of %zu bytes is no policy's name",
                          key.size);
    } else {
        memcpy(text, key.data, key.size);
        text[key.size] = '\0';
        if (value.data)
            status = add_record(book, text, value, err);
        else if (!book->every_version)
            remove_key(book, text);
    }
    if (status == MTF_SKIP) {
        book->refused++;
        if (err) err->status = MTF_SKIP;
    }
    return status;
}

const mtf_policy *mtf_policy_book_find(const mtf_policy_book *book, const char *key,
                                       int64_t version)
{
    const mtf_policy *newest = NULL;
    for (size_t i = 0; i < book->count; i++) {
        const mtf_policy *policy = book->entries[i].policy;
        if (strcmp(book->entries[i].key, key) != 0) continue;
        if (version == 0 || policy->info.version == version) newest = policy; /* versions ascend */
    }
    return newest;
}
