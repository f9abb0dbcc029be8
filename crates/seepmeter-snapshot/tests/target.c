// A program whose memory is known: it prints an address with 64 KiB of known bytes behind it, and waits.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned long known_data[4] = {0x1122334455667788, 2, 3, 4};

static void *waits(void *unused) {
    pause();
    return unused;
}

int main(void) {
    pthread_t thread;
    unsigned long *words = malloc(65536);
    for (unsigned long i = 0; i < 8192; i++) words[i] = i * 0x9E3779B97F4A7C15;
    if (pthread_create(&thread, NULL, waits, NULL)) return 1;
    printf("%p %p\n", (void *)words, (void *)known_data);
    fflush(stdout);
    char byte;
    return read(0, &byte, 1) < 0;
}
