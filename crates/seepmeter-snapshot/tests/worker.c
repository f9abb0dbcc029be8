// A program that notices whatever a snapshot might do to it: threads that sleep, wait and calculate, children, and
// signals with values. `worker MIB CHILDREN` prints an address with 64 KiB of known bytes, works until it can read a
// byte, then prints what it has noticed and exits with 7.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// With -DPLAIN it is one thread that calculates, waits, and handles no signal.
static atomic_int over, interrupted, wrong, strange, signals, sum;

static void on_value(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    signals++, sum += info->si_value.sival_int;
}

static void on_child(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    // It may come late, when there is another one; its own ones all exit with 3.
    if (info->si_code != CLD_EXITED || info->si_status != 3) strange++;
}

static void *sleeps(void *unused) {
    while (!over) {
        struct timespec time = {0, 1000000};
        if (nanosleep(&time, NULL)) interrupted++;
    }
    return unused;
}

static int epoll;

static void *waits(void *unused) {
    struct epoll_event event;
    while (!over)
        if (epoll_wait(epoll, &event, 1, 5) < 0) interrupted++;
    return unused;
}

static double series(unsigned long *hash) {
    double value = 1;
    for (int at = 1; at < 20000; at++) {
        value = value * 1.0000001 + 1.0 / at;
        *hash = (*hash ^ (unsigned long)at) * 0x9E3779B97F4A7C15;
    }
    return value;
}

static void *calculates(void *unused) {
    unsigned long first = 1;
    double value = series(&first);
    while (!over) {
        unsigned long hash = 1;
        if (series(&hash) != value || hash != first) wrong++;
    }
    return unused;
}

static void *forks(void *unused) {
    while (!over) {
        sigset_t child;
        sigemptyset(&child), sigaddset(&child, SIGCHLD);
        int status = 0, pipes[2];
        if (pipe(pipes)) abort();
        pid_t pid = fork();
        if (!pid) {
            char byte;
            _exit(read(pipes[0], &byte, 1) == 1 ? 3 : 4);
        }
        if (write(pipes[1], "x", 1) != 1) abort();
        pid_t found;
        while ((found = waitpid(-1, &status, 0)) < 0 && errno == EINTR) interrupted++;
        if (found != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 3) strange++;
        close(pipes[0]), close(pipes[1]);
        struct timespec time = {0, 3000000};
        nanosleep(&time, NULL);
    }
    return unused;
}

int main(int count, char **words) {
    if (count < 3) return 1;
    size_t size = strtoul(words[1], NULL, 10) << 20;
    char *memory = malloc(size + 1);
    memset(memory, 1, size);
    unsigned long *known = malloc(65536);
    for (unsigned long at = 0; at < 8192; at++) known[at] = at * 0x9E3779B97F4A7C15;
    char *left_out = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *wiped = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    // Many ranges of single pages.
    char *stripes = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(stripes, 32 << 20, MADV_NOHUGEPAGE);
    for (int at = 0; at < 32 << 20; at += 8 * 4096) stripes[at] = 1;
    memset(left_out, 5, 8192), memset(wiped, 6, 8192);
    if (madvise(left_out, 8192, MADV_DONTFORK) || madvise(wiped, 8192, MADV_WIPEONFORK)) return 1;
    int nothing[2];
    // A pointer that only the kernel has.
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x112233445566};
    epoll = epoll_create1(0);
    if (pipe(nothing) || epoll_ctl(epoll, EPOLL_CTL_ADD, nothing[0], &event)) return 1;
#ifdef PLAIN
    // Without threads and handlers: a static program has no code then by which a handler returns.
    unsigned long first = 1;
    double result = series(&first);
    printf("%p %p %p\n", (void *)known, (void *)left_out, (void *)wiped);
    fflush(stdout);
    struct pollfd input = {.fd = 0, .events = POLLIN};
    for (int ready = 0; ready < 1;) {
        unsigned long hash = 1;
        if (series(&hash) != result || hash != first) wrong++;
        if ((ready = poll(&input, 1, 1)) < 0) interrupted++;
    }
    char byte;
    if (read(0, &byte, 1) != 1) return 1;
#else
    struct sigaction value = {.sa_sigaction = on_value, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigaction child = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGRTMIN, &value, NULL), sigaction(SIGCHLD, &child, NULL);
    sigset_t all, before;
    sigfillset(&all);
    // Signals are for the main thread alone: no other has a reason for an EINTR.
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_t threads[4];
    void *(*work[])(void *) = {sleeps, waits, calculates, forks};
    int some = words[2][0] == '1' ? 4 : 3;
    for (int at = 0; at < some; at++)
        if (pthread_create(&threads[at], NULL, work[at], NULL)) return 1;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    printf("%p %p %p\n", (void *)known, (void *)left_out, (void *)wiped);
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) < 0 && errno == EINTR) interrupted++;
    over = 1;
    for (int at = 0; at < some; at++) pthread_join(threads[at], NULL);
#endif
    printf("signals %d sum %d strange %d wrong %d interrupted %d\n", signals, sum, strange, wrong, interrupted);
    return 7;
}
