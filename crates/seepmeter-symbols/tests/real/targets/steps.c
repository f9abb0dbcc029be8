/* Functions with prologues and epilogues of all kinds, called over and over. */
#include <alloca.h>
#include <stdio.h>

__attribute__((noinline)) static int leaf(int n) { return n * 3 + 1; }

__attribute__((noinline)) static int saves(int a, int b, int c, int d) {
    int e = leaf(a), f = leaf(b), g = leaf(c), h = leaf(d);
    return leaf(e + f) + leaf(g + h) + a + b + c + d + e + f + g + h;
}

__attribute__((noinline)) static int early(int n) {
    if (n & 1) return n;
    volatile int room[100];
    room[n & 63] = saves(n, n + 1, n + 2, n + 3);
    return room[n & 63];
}

__attribute__((noinline)) static int dynamic(int n) {
    volatile char *room = alloca((unsigned)(n & 255) + 1);
    room[0] = (char)n;
    return saves(room[0], n, 1, 2);
}

__attribute__((noinline)) int turn(int n) { return early(n) + early(n + 1) + dynamic(n); }

int main(void) {
    puts("ready");
    fflush(stdout);
    volatile int sum = 0;
    for (int n = 0;; n++) sum += turn(n & 1023);
}
