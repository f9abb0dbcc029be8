/* What is watched. `idle N`: N threads that wait. `work N`: N threads that work in turns and count what
 * they have done; a line of input asks for the sum. `map N`: N rounds of mmap, touch and munmap; says how
 * many ns a round took. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static atomic_int waiting;
static struct { _Alignas(64) atomic_long done; } work[1024];

static void *wait_for_ever(void *unused) {
    pthread_mutex_lock(&lock);
    waiting++;
    for (;;) pthread_cond_wait(&never, &lock);
    return unused;
}
static void *do_work(void *place) {
    atomic_long *done = place;
    waiting++;
    for (volatile long i = 0;; i++)
        if (i % 1024 == 0) atomic_fetch_add_explicit(done, 1, memory_order_relaxed);
    return NULL;
}
static long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}
static int map(int rounds) {
    long began = now();
    for (int i = 0; i < rounds; i++) {
        char *place = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        munmap(place, 65536);
    }
    printf("%ld\n", (now() - began) / (2L * rounds));
    return 0;
}

int main(int count, char **words) {
    if (count < 3) return 2;
    int threads = atoi(words[2]), works = !strcmp(words[1], "work");
    char line[16];
    if (!strcmp(words[1], "map")) return map(threads);
    for (int i = works ? 0 : 1; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, works ? do_work : wait_for_ever, &work[i].done)) return 3;
    }
    while (waiting < threads - !works) usleep(1000);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        long sum = 0;
        for (int i = 0; i < threads; i++) sum += work[i].done;
        struct timespec cpu;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
        printf("%ld %ld\n", sum, cpu.tv_sec * 1000000000L + cpu.tv_nsec);
        fflush(stdout);
    }
    return 0;
}
