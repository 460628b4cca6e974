#include "learner/store_copy.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "learner/store_inside.h"
#include "learner/store_lock.h"

#define PATH_BYTES  4096
#define LOOK_NS     200000000 /* how often a learner looks for the wish */
#define ASK_MS      50        /* how often a backup looks for the answer */
#define FAILED_SIZE 1000      /* of snapshot.failed */

/** <path>/<name>; too long a one is cut, and then not found. */
typedef struct place {
    char text[PATH_BYTES];
} place;

static place at(const char *path, const char *name)
{
    place p;
    if ((size_t)snprintf(p.text, sizeof p.text, "%s%s", path, name) >= sizeof p.text)
        p.text[0] = '\0';
    return p;
}

static bool is_there(const place *p)
{
    return access(p->text, F_OK) == 0;
}

/* -- the holder's part ------------------------------------------- */

/** Files of the checkpoints' folder are replaced, never written to: a link keeps what is there. */
static mtf_status link_checkpoints(const char *from, const char *to, mtf_err *err)
{
    DIR *folder = opendir(from);
    mtf_status status = mtf_folder_make(to, err);
    if (!folder) return status; /* a store that never had a round */
    const struct dirent *entry;
    while (status == MTF_OK && (entry = readdir(folder))) {
        const size_t size = strlen(entry->d_name);
        if (entry->d_name[0] == '.' || (size > 4 && !strcmp(entry->d_name + size - 4, ".tmp")))
            continue;
        const place name = at("/", entry->d_name);
        const place source = at(from, name.text), target = at(to, name.text);
        if (link(source.text, target.text) != 0)
            status = mtf_fail(err, MTF_IO, "link %.180s: %s", target.text, strerror(errno));
    }
    closedir(folder);
    return status;
}

static mtf_status checkpoint_database(mtf_store *store, const char *folder, mtf_err *err)
{
    char *text = NULL;
    rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(store->db, &text);
    if (!text) rocksdb_checkpoint_create(checkpoint, folder, 0, &text);
    if (checkpoint) rocksdb_checkpoint_object_destroy(checkpoint);
    return text ? mtf_store_rocks_fail(store->path, "snapshot", text, err) : MTF_OK;
}

static mtf_status snapshot(mtf_store *store, mtf_err *err)
{
    const place fresh = at(store->path, "/snapshot.tmp"), done = at(store->path, "/snapshot");
    const place db = at(fresh.text, "/db"), files = at(fresh.text, "/checkpoints");
    const place checkpoints = at(store->path, "/checkpoints");
    mtf_status status = mtf_folder_remove(fresh.text, err);
    if (status == MTF_OK) status = mtf_folder_remove(done.text, err);
    if (status == MTF_OK) status = mtf_folder_make(fresh.text, err);
    if (status == MTF_OK) status = checkpoint_database(store, db.text, err);
    if (status == MTF_OK) status = link_checkpoints(checkpoints.text, files.text, err);
    if (status == MTF_OK) status = mtf_file_move(fresh.text, done.text, err);
    return status;
}

mtf_status mtf_store_answer(mtf_store *store, mtf_err *err)
{
    const int64_t now = mtf_clock_mono_ns();
    if (now - store->asked_ns < LOOK_NS) return MTF_OK;
    store->asked_ns = now;
    const place wanted = at(store->path, "/snapshot.wanted");
    const place failed = at(store->path, "/snapshot.failed");
    if (!is_there(&wanted)) return MTF_OK;
    mtf_err why = {0};
    const mtf_status status = snapshot(store, &why);
    if (status) {
        const mtf_span words = {(const uint8_t *)why.msg, strlen(why.msg)};
        /* A disk too full for these words: then the asker waits in vain, and says so. */
        if (mtf_file_replace(failed.text, words, NULL) != MTF_OK)
            return mtf_fail(err, status, "%s", why.msg);
    }
    unlink(wanted.text);
    return status ? mtf_fail(err, status, "%s", why.msg) : MTF_CLOSED;
}

/* -- the asker's part -------------------------------------------- */

static mtf_status read_failure(const place *failed, mtf_err *err)
{
    mtf_buf words = {0};
    mtf_status status = mtf_file_read(failed->text, FAILED_SIZE, &words, err);
    mtf_buf_put_u8(&words, 0);
    if (status == MTF_OK && !words.failed)
        status = mtf_fail(err, MTF_IO, "the learner says: %.350s", (const char *)words.data);
    unlink(failed->text);
    mtf_buf_fini(&words);
    return status;
}

/** Waits until the wish is gone, or its holder, or the time. */
static mtf_status wait_for_answer(const char *path, const place *wanted, int64_t until_ns,
                                  const atomic_bool *stop, mtf_err *err)
{
    const struct timespec pause = {.tv_nsec = ASK_MS * 1000000L};
    while (is_there(wanted)) {
        if (stop && atomic_load(stop)) return mtf_fail(err, MTF_CLOSED, "backup: stopped");
        const pid_t holder = mtf_store_holder(path);
        if (holder == 0) return MTF_OK;
        if (mtf_clock_mono_ns() > until_ns)
            return mtf_fail(err, MTF_AGAIN,
                            "store %.150s: the process that holds it (%ld) made no snapshot in "
                            "time; it answers between batches and training steps: wait longer with "
                            "--wait, or stop it and try again",
                            path, (long)holder);
        nanosleep(&pause, NULL);
    }
    return MTF_OK;
}

static mtf_status ask_holder(const char *path, int64_t until_ns, const atomic_bool *stop,
                             mtf_err *err)
{
    const place wanted = at(path, "/snapshot.wanted"), failed = at(path, "/snapshot.failed");
    const place done = at(path, "/snapshot");
    unlink(failed.text);
    mtf_status status = mtf_folder_remove(done.text, err); /* of a backup that was killed */
    if (status == MTF_OK) status = mtf_file_replace(wanted.text, (mtf_span){0}, err);
    if (status == MTF_OK) status = wait_for_answer(path, &wanted, until_ns, stop, err);
    unlink(wanted.text);
    if (status == MTF_OK && is_there(&failed)) status = read_failure(&failed, err);
    return status;
}

static mtf_status snapshot_alone(const char *path, mtf_err *err)
{
    mtf_store *store = NULL;
    mtf_status status = mtf_store_open(path, NULL, false, &store, err);
    if (status == MTF_OK) status = snapshot(store, err);
    mtf_store_close(store);
    return status;
}

/** <path>/snapshot is there afterwards. */
static mtf_status get_snapshot(const char *path, int64_t wait_ms, const atomic_bool *stop,
                               mtf_err *err)
{
    const int64_t until_ns = mtf_clock_mono_ns() + wait_ms * 1000000;
    const place done = at(path, "/snapshot");
    for (;;) {
        mtf_status status;
        if (mtf_store_holder(path) == 0) {
            status = snapshot_alone(path, err);
            if (status == MTF_OK || mtf_store_holder(path) == 0) return status;
        }
        status = ask_holder(path, until_ns, stop, err);
        if (status || is_there(&done)) return status;
    }
}

mtf_status mtf_store_backup(const char *path, const char *to, int64_t wait_ms,
                            const atomic_bool *stop, mtf_err *err)
{
    const place target = at(to, ""), fresh = at(to, ".tmp"), done = at(path, "/snapshot");
    if (is_there(&target))
        return mtf_fail(err, MTF_INVALID, "%.200s is there: a backup makes a new folder", to);
    mtf_status status = get_snapshot(path, wait_ms, stop, err);
    if (status == MTF_OK) status = mtf_folder_remove(fresh.text, err);
    if (status == MTF_OK) status = mtf_folder_copy(done.text, fresh.text, err);
    if (status == MTF_OK) status = mtf_file_move(fresh.text, target.text, err);
    if (status) {
        (void)!mtf_folder_remove(fresh.text, NULL);
        (void)!mtf_folder_remove(done.text, NULL);
        return status;
    }
    return mtf_folder_remove(done.text, err);
}

/* -- restoring --------------------------------------------------- */

static mtf_status replace_part(const char *from, const char *to, const char *name, mtf_err *err)
{
    const place source = at(from, name), target = at(to, name);
    if (!is_there(&source)) return MTF_OK; /* in its place since before a crash */
    const mtf_status status = mtf_folder_remove(target.text, err);
    return status ? status : mtf_file_move(source.text, target.text, err);
}

mtf_status mtf_store_finish_restore(const char *path, mtf_err *err)
{
    const place ready = at(path, "/restore");
    if (!is_there(&ready)) return MTF_OK;
    mtf_status status = replace_part(ready.text, path, "/db", err);
    if (status == MTF_OK) status = replace_part(ready.text, path, "/checkpoints", err);
    return status ? status : mtf_folder_remove(ready.text, err);
}

static bool is_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/** With the store locked, from before it looks until the copy is in its place. */
static mtf_status restore_locked(const char *path, const char *from, bool force, mtf_err *err)
{
    const place fresh = at(path, "/restore.tmp"), ready = at(path, "/restore");
    const place db = at(path, "/db");
    if (is_there(&db) && !force)
        return mtf_fail(err, MTF_INVALID,
                        "there is a store at %.200s: --force puts the backup in its place, and "
                        "what it took since is read again from the topic",
                        path);
    mtf_status status = mtf_folder_remove(fresh.text, err);
    if (status == MTF_OK) status = mtf_folder_remove(ready.text, err);
    if (status == MTF_OK) status = mtf_folder_copy(from, fresh.text, err);
    if (status == MTF_OK) status = mtf_file_move(fresh.text, ready.text, err);
    if (status) {
        (void)!mtf_folder_remove(fresh.text, NULL);
        return status;
    }
    return mtf_store_finish_restore(path, err);
}

mtf_status mtf_store_restore(const char *path, const char *from, bool force, mtf_err *err)
{
    const place source = at(from, "/db");
    int lock;
    if (!is_there(&source))
        return mtf_fail(err, MTF_INVALID, "%.200s is no backup of a store: it has no folder db",
                        from);
    if (is_same(path, from))
        return mtf_fail(err, MTF_INVALID, "%.200s is the store itself, not a backup of it", from);
    mtf_status status = mtf_folder_make(path, err);
    if (status) return status;
    status = mtf_store_lock(path, &lock, err);
    if (status == MTF_FENCED)
        return mtf_fail(err, MTF_IO, "store %.200s: a learner (process %ld) uses it; stop it first",
                        path, (long)mtf_store_holder(path));
    if (status == MTF_OK) status = restore_locked(path, from, force, err);
    mtf_store_unlock(lock);
    return status;
}
