/* Two threads in everything that programs do: malloc, qsort, printf, memcpy. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct state {
    unsigned seed;
    FILE *sink;
};

static int compare(const void *one, const void *other) {
    int a = *(const int *)one, b = *(const int *)other;
    return (a > b) - (a < b);
}

__attribute__((noinline)) static void sort(struct state *state) {
    int numbers[512];
    for (int i = 0; i < 512; i++) numbers[i] = (int)rand_r(&state->seed);
    qsort(numbers, 512, sizeof *numbers, compare);
}

__attribute__((noinline)) static void allocate(struct state *state) {
    void *blocks[64];
    for (int i = 0; i < 64; i++) blocks[i] = malloc(rand_r(&state->seed) % 5000 + 1);
    for (int i = 0; i < 64; i++) free(blocks[i]);
}

__attribute__((noinline)) static void copy(struct state *state) {
    static __thread char from[1 << 16], to[1 << 16];
    memcpy(to, from, rand_r(&state->seed) % sizeof to);
}

__attribute__((noinline)) static void print(struct state *state) {
    for (int i = 0; i < 50; i++) fprintf(state->sink, "%d %g %s\n", i, i / 3.0, "words");
}

__attribute__((noinline)) static void work(unsigned seed) {
    struct state state = {seed, fopen("/dev/null", "w")};
    for (;;) {
        sort(&state);
        allocate(&state);
        copy(&state);
        print(&state);
    }
}

static void *start(void *argument) {
    work(2);
    return argument;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, 0, start, 0);
    puts("ready");
    fflush(stdout);
    work(1);
    return 0;
}
