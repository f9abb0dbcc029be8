/* middle's locals want more than the stack's alignment, and its room is of unknown size. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

__attribute__((noinline)) static void inner(void *room) {
    __asm__ volatile("" ::"r"(room) : "memory");
    puts("ready");
    fflush(stdout);
    for (;;) pause();
}

__attribute__((noinline)) static void middle(int n, int a, int b, int c, int d, int e, int on_stack) {
    _Alignas(64) char room[256];
    char more[n + on_stack];
    memset(room, a + b + c + d + e, sizeof room);
    memset(more, 1, (unsigned)n);
    inner(room);
    inner(more);
}

__attribute__((noinline)) static void outer(int n) {
    volatile char room[200];
    room[n] = 1;
    middle(n + 100, 1, 2, 3, 4, 5, 6);
    __asm__ volatile("" ::: "memory");
}

int main(int argc, char **argv) {
    (void)argv;
    outer(argc);
    __asm__ volatile("" ::: "memory");
    return 0;
}
