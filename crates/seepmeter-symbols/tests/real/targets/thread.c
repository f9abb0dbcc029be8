/* A second thread: start calls inner, which sleeps. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

__attribute__((noinline)) static void inner(void) {
    puts("ready");
    fflush(stdout);
    for (;;) pause();
}

static void *start(void *argument) {
    inner();
    __asm__ volatile("" ::: "memory");
    return argument;
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, 0, start, 0);
    pthread_join(thread, 0);
    return 0;
}
