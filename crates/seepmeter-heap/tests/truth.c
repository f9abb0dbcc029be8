// A program whose blocks are known. It prints each as "live|leaked|freed ADDRESS SIZE", then "ready", and waits.
// Addresses are kept XORed, so that the list is no root.
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef SMALL
enum { THREADS = 1, BLOCKS = 300, MASK = 0x5a5a5a5a };
#else
enum { THREADS = 4, BLOCKS = 3000, MASK = 0x5a5a5a5a };
#endif
enum { LIVE, LEAKED, FREED };

struct note { unsigned long hidden; size_t size; int state; };
static struct note notes[THREADS + 1][BLOCKS];
void *volatile live[THREADS + 1][BLOCKS];
static pthread_barrier_t done;

static void *one(int at) {
    if (at % 500 == 250) return malloc(200000 + 64UL * at);
    if (at % 500 == 251) { void *aligned = NULL; return posix_memalign(&aligned, 4096, 300000) ? NULL : aligned; }
    if (at % 50 == 7) { void *aligned = NULL; return posix_memalign(&aligned, 256, 100 + at) ? NULL : aligned; }
    if (at % 50 == 8) return realloc(malloc(24), 100 + at);
    return calloc(1, 1 + (at * 37UL) % (at % 20 ? 600 : 9000));
}

__attribute__((noinline)) static void fill(int thread) {
    void **previous = NULL;
    for (int at = 0; at < BLOCKS; at++) {
        void *block = one(at);
        struct note *note = &notes[thread][at];
        note->size = malloc_usable_size(block);
        note->hidden = (unsigned long)block ^ MASK ^ ~0UL << 32;
        note->state = at % 3 == 2 ? FREED : at % 7 == 0 ? LEAKED : LIVE;
        if (note->state == LIVE) live[thread][at] = block;
        if (note->state == LEAKED) { *(void ***)block = previous; previous = block; }
    }
    for (int at = 0; at < BLOCKS; at++) {
        struct note *note = &notes[thread][at];
        if (note->state == FREED) free((void *)(note->hidden ^ MASK ^ ~0UL << 32));
    }
}

__attribute__((noinline)) static void wipe(void) {
    volatile char stack[32768];
    for (size_t at = 0; at < sizeof stack; at++) stack[at] = 0;
}

static void *run(void *number) {
    fill((int)(long)number);
    wipe();
    pthread_barrier_wait(&done);
    pause();
    return NULL;
}

int main(void) {
    pthread_t thread;
    // The library's own buffer would be a block that takes a freed one's place.
    static char buffer[4096];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    pthread_barrier_init(&done, NULL, THREADS + 1);
    for (long at = 1; at <= THREADS; at++) if (pthread_create(&thread, NULL, run, (void *)at)) return 1;
    fill(0);
    pthread_barrier_wait(&done);
    static const char *const words[] = {"live", "leaked", "freed"};
    for (int at = 0; at <= THREADS; at++)
        for (int block = 0; block < BLOCKS; block++) {
            struct note *note = &notes[at][block];
            printf("%s %lx %zu\n", words[note->state], note->hidden ^ MASK ^ ~0UL << 32, note->size);
        }
    puts("ready");
    fflush(stdout);
    wipe();
    char byte;
    return read(0, &byte, 1) < 0;
}
