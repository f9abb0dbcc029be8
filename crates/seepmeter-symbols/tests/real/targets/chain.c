/* a calls b calls c, which sleeps. */
#include <stdio.h>
#include <unistd.h>

#define FUNCTION __attribute__((noinline)) static
#define STAY __asm__ volatile("" ::: "memory") /* no tail call */

FUNCTION void c(void) {
    puts("ready");
    fflush(stdout);
    for (;;) {
        pause();
        STAY;
    }
}

FUNCTION void b(int n) {
    volatile char room[300];
    room[n] = 1;
    c();
    STAY;
}

FUNCTION void a(int n) {
    b(n + 1);
    STAY;
}

int main(int argc, char **argv) {
    (void)argv;
    a(argc);
    STAY;
    return 0;
}
