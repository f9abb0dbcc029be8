/* A stack of 20 frames from pause to _start, each in another function. */
#include <stdio.h>
#include <unistd.h>

#define FUNCTION(name, next)                                                                          \
    __attribute__((noinline)) static void name(int n) {                                               \
        volatile char room[64];                                                                       \
        room[n & 63] = 1;                                                                             \
        next(n + 1);                                                                                  \
        __asm__ volatile("" ::: "memory");                                                            \
    }

static void rest(int n) {
    (void)n;
    puts("ready");
    fflush(stdout);
    for (;;) pause();
}

FUNCTION(f1, rest)
FUNCTION(f2, f1)
FUNCTION(f3, f2)
FUNCTION(f4, f3)
FUNCTION(f5, f4)
FUNCTION(f6, f5)
FUNCTION(f7, f6)
FUNCTION(f8, f7)
FUNCTION(f9, f8)
FUNCTION(f10, f9)
FUNCTION(f11, f10)
FUNCTION(f12, f11)
FUNCTION(f13, f12)
FUNCTION(f14, f13)
FUNCTION(f15, f14)

int main(int argc, char **argv) {
    (void)argv;
    f15(argc);
    __asm__ volatile("" ::: "memory");
    return 0;
}
