/* A signal's handler sleeps, on top of a function that was interrupted while it called nothing. With an
   argument the handler comes while the program sleeps in a system call. */
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

static volatile unsigned long count;

static void handler(int signal) {
    (void)signal;
    puts("ready");
    fflush(stdout);
    for (;;) pause();
}

__attribute__((noinline)) static void spin(void) {
    for (;;) count++;
}

__attribute__((noinline)) static void wait_for_it(void) {
    sleep(1000);
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void below(int sleeping) {
    if (sleeping) wait_for_it();
    else spin();
    __asm__ volatile("" ::: "memory");
}

int main(int argc, char **argv) {
    (void)argv;
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGALRM, &action, 0);
    struct itimerval soon = {.it_value = {.tv_usec = 30000}};
    setitimer(ITIMER_REAL, &soon, 0);
    below(argc > 1);
    return 0;
}
