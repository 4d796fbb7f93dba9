/* A host that can be ill, for one process: loaded by LD_PRELOAD, ruled by one page that the harness shares with it.

   FAULTS_KEPT    what lies below it can be read-only (EROFS, as after errors=remount-ro), and is copied to
   FAULTS_SHADOW  as far as it was synced: what a disk that loses all else at a power cut would still have
   FAULTS_LOGS    reading what lies below it can be slow, or stall; opening, listing and looking at it can stall too
   FAULTS_RULES   the page: [0] read-only, [1] stalled (2: names too), [2] milliseconds that each read takes, [8..15] seconds by which
                  the clock of the day is ahead of the kernel's; the monotonic one is never set

   A file's name is taken as durable as soon as the file is. What another process left unsynced is not known here, so
   all that a file held when this process first opened it counts as unsynced. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FDS 65536

/* Looked up once at each place: the loader's lock is not for signal handlers, and Python's writes to a pipe. */
#define REAL(name, ...) (*({ \
        static __typeof__(name) *found; \
        if (!found) found = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
        found; \
    }))(__VA_ARGS__)

struct range { off_t from, to; struct range *next; };
struct file { char path[512]; struct range *unsynced; struct file *next; };

static volatile unsigned char *rules;
static const char *kept, *shadow, *logs;
static struct file *files, *held[FDS];
static unsigned char is_log[FDS], syncs[FDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *page = getenv("FAULTS_RULES");
    kept = getenv("FAULTS_KEPT"), shadow = getenv("FAULTS_SHADOW"), logs = getenv("FAULTS_LOGS");
    int fd = page ? REAL(open, page, O_RDWR) : -1;
    if (fd < 0) return;
    rules = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (rules == MAP_FAILED) abort();
    REAL(close, fd);
}

static int below(const char *path, const char *folder) {
    size_t length = folder ? strlen(folder) : 0;
    return rules && length && path && !strncmp(path, folder, length) && path[length] == '/';
}

static int refused(const char *path) { return below(path, kept) && rules[0]; }

static void shadowed(char *to, const char *path) { snprintf(to, 1024, "%s%s", shadow, path + strlen(kept)); }

static void wrote(struct file *file, off_t from, off_t to) {
    struct range *range = malloc(sizeof *range);
    pthread_mutex_lock(&lock);
    *range = (struct range){from, to, file->unsynced};
    file->unsynced = range;
    pthread_mutex_unlock(&lock);
}

/* Copy what was written since the last sync; if there is no descriptor for that, the next sync does it. */
static void synced(int fd) {
    static __thread char piece[65536];
    struct file *file = held[fd];
    struct stat now;
    char to[1024], self[64];
    shadowed(to, file->path);
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int in = REAL(open, self, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : REAL(open, to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (out >= 0) {
        pthread_mutex_lock(&lock);
        struct range *range = file->unsynced;
        file->unsynced = NULL;
        pthread_mutex_unlock(&lock);
        while (range) {
            struct range done = *range;
            free(range);
            while (done.from < done.to) {
                size_t left = (size_t)(done.to - done.from);
                ssize_t got = REAL(pread, in, piece, left < sizeof piece ? left : sizeof piece, done.from);
                if (got <= 0 || REAL(pwrite, out, piece, (size_t)got, done.from) != got) break;
                done.from += got;
            }
            range = done.next;
        }
        if (!fstat(fd, &now) && REAL(ftruncate, out, now.st_size)) perror(to);
        REAL(close, out);
    }
    if (in >= 0) REAL(close, in);
}

static int opened(int fd, const char *path, int flags) {
    struct stat now;
    if (fd < 0 || fd >= FDS) return fd;
    held[fd] = NULL;
    is_log[fd] = below(path, logs);
    syncs[fd] = (flags & (O_DSYNC | O_SYNC)) != 0;
    if (!below(path, kept) || fstat(fd, &now) || !S_ISREG(now.st_mode)) return fd;
    pthread_mutex_lock(&lock);
    struct file *file = files;
    while (file && strcmp(file->path, path)) file = file->next;
    int is_new = !file;
    if (is_new) {
        file = calloc(1, sizeof *file);
        snprintf(file->path, sizeof file->path, "%s", path);
        file->next = files;
        files = file;
    }
    held[fd] = file;
    pthread_mutex_unlock(&lock);
    if (is_new && now.st_size) wrote(file, 0, now.st_size);
    return fd;
}

static int may_open(const char *path, int flags) {
    if (!refused(path) || ((flags & O_ACCMODE) == O_RDONLY && !(flags & (O_CREAT | O_TRUNC)))) return 1;
    errno = EROFS;
    return 0;
}

/* Whoever needs a file's name waits, while not even names are found. */
static void find(const char *path) {
    if (below(path, logs)) while (rules[1] == 2) usleep(2000);
}

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, int); va_end(more); \
        find(path); \
        return may_open(path, flags) ? opened(REAL(name, path, flags, mode), path, flags) : -1; \
    }
#define OPENS_AT(name) \
    int name(int at, const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, int); va_end(more); \
        find(path); \
        return may_open(path, flags) ? opened(REAL(name, at, path, flags, mode), path, flags) : -1; \
    }
OPENS(open)
OPENS(open64)
OPENS_AT(openat)
OPENS_AT(openat64)

DIR *opendir(const char *path) { find(path); return REAL(opendir, path); }

int close(int fd) {
    if (fd >= 0 && fd < FDS) held[fd] = NULL, is_log[fd] = 0;
    return REAL(close, fd);
}

static int may_write(int fd) {
    if (!rules || fd < 0 || fd >= FDS || !held[fd] || !rules[0]) return 1;
    errno = EROFS;
    return 0;
}

static ssize_t has_written(int fd, ssize_t done, off_t from) {
    if (done > 0 && fd >= 0 && fd < FDS && held[fd]) {
        wrote(held[fd], from, from + done);
        if (syncs[fd]) synced(fd);
    }
    return done;
}

#define APPENDS(name, type, count) \
    ssize_t name(int fd, const type from, count length) { \
        if (!may_write(fd)) return -1; \
        ssize_t done = REAL(name, fd, from, length); \
        if (fd < 0 || fd >= FDS || !held[fd]) return done; \
        return has_written(fd, done, lseek(fd, 0, SEEK_CUR) - done); \
    }
APPENDS(write, void *, size_t)
APPENDS(writev, struct iovec *, int)

#define WRITES(name, type) \
    ssize_t name(int fd, const type from, size_t length, off_t at) { \
        return may_write(fd) ? has_written(fd, REAL(name, fd, from, length, at), at) : -1; \
    }
WRITES(pwrite, void *)
WRITES(pwrite64, void *)

#define WRITES_PIECES(name) \
    ssize_t name(int fd, const struct iovec *from, int count, off_t at) { \
        return may_write(fd) ? has_written(fd, REAL(name, fd, from, count, at), at) : -1; \
    }
WRITES_PIECES(pwritev)
WRITES_PIECES(pwritev64)

#define TRUNCATES(name) \
    int name(int fd, off_t length) { return may_write(fd) ? REAL(name, fd, length) : -1; }
TRUNCATES(ftruncate)
TRUNCATES(ftruncate64)

#define SYNCS(name) \
    int name(int fd) { \
        if (!may_write(fd)) return -1; \
        int failed = REAL(name, fd); \
        if (!failed && fd >= 0 && fd < FDS && held[fd]) synced(fd); \
        return failed; \
    }
SYNCS(fsync)
SYNCS(fdatasync)

static void linger(int fd) {
    if (!rules || fd < 0 || fd >= FDS || !is_log[fd]) return;
    if (rules[2]) usleep(1000 * rules[2]);
    while (rules[1]) usleep(2000);
}

ssize_t read(int fd, void *to, size_t length) { linger(fd); return REAL(read, fd, to, length); }
ssize_t pread(int fd, void *to, size_t length, off_t at) { linger(fd); return REAL(pread, fd, to, length, at); }
ssize_t pread64(int fd, void *to, size_t length, off_t at) { linger(fd); return REAL(pread64, fd, to, length, at); }

static time_t ahead(void) { return rules ? (time_t)*(volatile long long *)(rules + 8) : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = REAL(clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += ahead();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int failed = REAL(gettimeofday, now, zone);
    if (!failed) now->tv_sec += ahead();
    return failed;
}

time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}

/* A log that the kernel has stamped just now was written by the clock that was set. */
static int dated(int failed, int of_log, struct stat *status) {
    struct timespec now;
    if (failed || !of_log || !ahead()) return failed;
    REAL(clock_gettime, CLOCK_REALTIME, &now);
    if (status->st_mtime > now.tv_sec - 60 && status->st_mtime < now.tv_sec + 60) status->st_mtime += ahead();
    return failed;
}

#define STATS(name, type) \
    int name(const char *path, struct type *status) { \
        find(path); \
        return dated(REAL(name, path, status), below(path, logs), (struct stat *)status); \
    }
#define STATS_FD(name, type) \
    int name(int fd, struct type *status) { \
        return dated(REAL(name, fd, status), fd >= 0 && fd < FDS && is_log[fd], (struct stat *)status); \
    }
#define STATS_AT(name, type) \
    int name(int at, const char *path, struct type *status, int flags) { \
        find(path); \
        return dated(REAL(name, at, path, status, flags), below(path, logs), (struct stat *)status); \
    }
STATS(stat, stat)
STATS(stat64, stat64)
STATS(lstat, stat)
STATS(lstat64, stat64)
STATS_FD(fstat, stat)
STATS_FD(fstat64, stat64)
STATS_AT(fstatat, stat)
STATS_AT(fstatat64, stat64)

int unlink(const char *path) {
    char to[1024];
    if (refused(path)) { errno = EROFS; return -1; }
    if (below(path, kept)) { shadowed(to, path); REAL(unlink, to); }
    return REAL(unlink, path);
}

#define NAMES(name) \
    int name(const char *path, const char *other) { \
        char from[1024], to[1024]; \
        if (refused(path) || refused(other)) { errno = EROFS; return -1; } \
        int failed = REAL(name, path, other); \
        if (!failed && below(path, kept) && below(other, kept)) { \
            shadowed(from, path); shadowed(to, other); (void)!REAL(name, from, to); \
        } \
        return failed; \
    }
NAMES(rename)
NAMES(link)
