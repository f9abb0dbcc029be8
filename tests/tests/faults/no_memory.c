/* A library to be preloaded: from the moment at which the file $NO_MEMORY_WHEN exists, the thread named
   $NO_MEMORY_THREAD gets no memory. Its first failure makes the file $NO_MEMORY_DONE. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static int fails(void)
{
    char name[16] = "";
    const char *thread = getenv("NO_MEMORY_THREAD");
    const char *when = getenv("NO_MEMORY_WHEN");
    const char *done = getenv("NO_MEMORY_DONE");
    prctl(PR_GET_NAME, name);
    if (!thread || !when || !done || strcmp(name, thread) != 0 || access(when, F_OK) != 0)
        return 0;
    close(open(done, O_CREAT | O_WRONLY, 0600));
    return 1;
}

void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return fails() ? NULL : __libc_calloc(count, size); }
void *realloc(void *memory, size_t size) { return fails() ? NULL : __libc_realloc(memory, size); }
