/* split has a part that is seldom executed. */
#include <stdio.h>
#include <unistd.h>

__attribute__((noinline)) static void rest(void) {
    puts("ready");
    fflush(stdout);
    for (;;) pause();
}

__attribute__((cold, noinline)) static void seldom(int n) { printf("%d\n", n); }

__attribute__((noinline)) int split(int n) {
    if (n > 100) {
        seldom(n);
        seldom(n + 1);
        return n;
    }
    rest();
    __asm__ volatile("" ::: "memory");
    return n + 1;
}

int main(int argc, char **argv) {
    (void)argv;
    return split(argc) > 3;
}
