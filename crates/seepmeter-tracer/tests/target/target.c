/* What the tests trace: small programs in one, chosen by the first word.
 *
 * In C, since the runtime of another language would have signals and threads of its own. Each says
 * "ready" when it is where it should be. Those that go on for ever end with their standard input. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what) { perror(what); _exit(99); }
static void ready(void) { puts("ready"); fflush(stdout); }
static void until_end_of_input(void) {
    char byte;
    ssize_t got;
    while ((got = read(0, &byte, 1)) > 0 || (got < 0 && errno == EINTR)) { }
}
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}
static pthread_t spawn(void *(*body)(void *), void *with) {
    pthread_t thread;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 << 10);
    if (pthread_create(&thread, &small, body, with)) die("pthread_create");
    pthread_attr_destroy(&small);
    return thread;
}

/* --- threads that wait, threads that spin, threads that come and go --- */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static _Atomic long born;
static void *wait_for_ever(void *unused) {
    pthread_mutex_lock(&lock);
    born++;
    for (;;) pthread_cond_wait(&never, &lock);
    return unused;
}
static void *spin(void *place) {
    born++;
    for (;;) ++*(volatile uint64_t *)place;
    return place;
}
static void idle(int count) {
    for (int i = 1; i < count; i++) spawn(wait_for_ever, NULL);
    while (born < count - 1) usleep(100);
    ready();
    until_end_of_input();
    puts("done");
}
static void spinning(int count) {
    uint64_t *counts = calloc(count, 64);
    printf("counts %p\n", (void *)counts);
    for (int i = 1; i < count; i++) spawn(spin, counts + 8 * i);
    while (born < count - 1) usleep(100);
    ready();
    until_end_of_input();
    puts("done");
}
static volatile int stop_births;
static void *brief(void *place) { (*(_Atomic long *)place)++; return NULL; }
static void *bear(void *place) {
    do {
        pthread_t children[4];
        for (int i = 0; i < 4; i++) children[i] = spawn(brief, place);
        for (int i = 0; i < 4; i++) pthread_join(children[i], NULL);
    } while (!stop_births);
    return NULL;
}
static void births(void) {
    static _Atomic long ran;
    pthread_t bearers[2] = {spawn(bear, (void *)&ran), spawn(bear, (void *)&ran)};
    ready();
    until_end_of_input();
    stop_births = 1;
    for (int i = 0; i < 2; i++) pthread_join(bearers[i], NULL);
    printf("%s\n", ran > 0 && ran % 4 == 0 ? "all ran" : "some did not run");
}

/* --- waits that must not end early: each returns 1 where it gave EINTR --- */
static int pipes[2], epoll, semaphores, sockets[2];
static aio_context_t aio;
static volatile int handled;
static void handle(int signal) { (void)signal; handled++; }
static void *feed(void *unused) {
    /* A byte now and then, so that reads that wait for ever end. Nobody reads one of the two. */
    for (;;) {
        usleep(3000);
        if (write(pipes[1], "x", 1) < 0 && errno != EAGAIN) break;
        if (send(sockets[1], "x", 1, MSG_DONTWAIT) < 0 && errno != EAGAIN) break;
    }
    return unused;
}
static int call(const char *name, int ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
    struct timespec *limit = ms < 0 ? NULL : &time;
    struct epoll_event event;
    static int word;
    char byte;
    sigset_t set;
    sigemptyset(&set);
    errno = 0;
    if (!strcmp(name, "poll")) return poll(NULL, 0, ms);
    if (!strcmp(name, "ppoll")) return ppoll(NULL, 0, limit, NULL);
    if (!strcmp(name, "select")) {
        struct timeval tv = {ms / 1000, ms % 1000 * 1000L};
        return select(0, NULL, NULL, NULL, &tv);
    }
    if (!strcmp(name, "nanosleep")) return nanosleep(&time, NULL);
    if (!strcmp(name, "clock_nanosleep")) {
        errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL);
        return errno ? -1 : 0;
    }
    if (!strcmp(name, "futex")) return syscall(SYS_futex, &word, FUTEX_WAIT, 0, limit, NULL, 0);
    if (!strcmp(name, "read")) return read(pipes[0], &byte, 1);
    if (!strcmp(name, "recv")) return recv(sockets[0], &byte, 1, 0);
    if (!strcmp(name, "recv-limited") || !strcmp(name, "accept-limited")) {
        /* Nobody feeds these. */
        static int limited[2], listener = -1;
        struct timeval tv = {ms / 1000, ms % 1000 * 1000L};
        if (listener < 0) {
            struct sockaddr_un any = {.sun_family = AF_UNIX};
            listener = socket(AF_UNIX, SOCK_STREAM, 0);
            if (bind(listener, (void *)&any, sizeof(sa_family_t)) || listen(listener, 1)) die("listen");
            if (socketpair(AF_UNIX, SOCK_STREAM, 0, limited)) die("socketpair");
            setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
            setsockopt(limited[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
        }
        errno = 0;
        if (name[0] == 'a') return accept(listener, NULL, NULL);
        return recv(limited[0], &byte, 1, 0);
    }
    if (!strcmp(name, "epoll_wait")) return epoll_wait(epoll, &event, 1, ms);
    if (!strcmp(name, "epoll_pwait")) return epoll_pwait(epoll, &event, 1, ms, &set);
    if (!strcmp(name, "epoll_pwait2")) return syscall(SYS_epoll_pwait2, epoll, &event, 1, limit, NULL, 0);
    /* Not by the C library: the register of the time must survive such a call. */
    if (!strcmp(name, "inline")) {
#ifdef __x86_64__
        long result = SYS_epoll_wait;
        long want = ms, got = 0;
        register long r10 __asm__("r10") = want;
        register long r8 __asm__("r8") = 0;
        __asm__ volatile("syscall\n\tmovq %%r10, %1" : "+a"(result), "=&r"(got)
            : "D"((long)epoll), "S"(&event), "d"(1L), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
        if (got != want) { printf("register changed from %ld to %ld\n", want, got); _exit(98); }
        if (result < 0) { errno = -result; return -1; }
        return result;
#else
        return epoll_wait(epoll, &event, 1, ms);
#endif
    }
    if (!strcmp(name, "sigtimedwait")) { sigaddset(&set, SIGUSR2); return sigtimedwait(&set, NULL, limit); }
    if (!strcmp(name, "semtimedop")) {
        struct sembuf down = {0, -1, 0};
        return semtimedop(semaphores, &down, 1, limit);
    }
    if (!strcmp(name, "io_getevents")) {
        struct io_event done;
        return syscall(SYS_io_getevents, aio, 1, 1, &done, limit);
    }
    fprintf(stderr, "no call %s\n", name);
    _exit(97);
}
static void prepare_calls(void) {
    if (pipe(pipes) || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets)) die("pipe");
    fcntl(pipes[1], F_SETFL, O_NONBLOCK);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    semaphores = semget(IPC_PRIVATE, 1, 0600);
    if (semaphores < 0) die("semget");
    if (syscall(SYS_io_setup, 4, &aio)) die("io_setup");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
}
static void clean_calls(void) { semctl(semaphores, 0, IPC_RMID); }

/* Calls it again and again until the input ends, and counts. */
static volatile int input_ended;
static void *watch_input(void *unused) { until_end_of_input(); input_ended = 1; return unused; }
static void counted(const char *name, int ms) {
    prepare_calls();
    spawn(feed, NULL);
    spawn(watch_input, NULL);
    long calls = 0, eintr = 0;
    ready();
    while (!input_ended) {
        int result = call(name, ms);
        calls++;
        eintr += result < 0 && errno == EINTR;
    }
    clean_calls();
    printf("calls %ld eintr %ld\n", calls, eintr);
}
/* Once; says how it ended and after how many ms. */
static void timed(const char *name, int ms) {
    prepare_calls();
    ready();
    double began = now();
    int result = call(name, ms);
    int error = result < 0 ? errno : 0;
    double took = now() - began;
    clean_calls();
    printf("result %d errno %s took %.1f\n", result, error ? strerrorname_np(error) : "0", took);
}
/* A timer at 1 kHz that interrupts a call, with SA_RESTART or without. An EINTR is spurious where no
 * handler has run during the call. */
static void storm(const char *name, int flags, int rounds) {
    prepare_calls();
    struct sigaction action = {.sa_handler = handle, .sa_flags = flags};
    sigaction(SIGALRM, &action, NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (flags & SA_RESTART) spawn(feed, NULL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
    ready();
    long eintr = 0, spurious = 0;
    for (int i = 0; i < rounds; i++) {
        int before = handled;
        if (call(name, 10000) >= 0 || errno != EINTR) continue;
        eintr++;
        spurious += handled == before;
    }
    timer = (struct itimerval){0};
    setitimer(ITIMER_REAL, &timer, NULL);
    clean_calls();
    printf("rounds %d eintr %ld spurious %ld\n", rounds, eintr, spurious);
}
/* SIGCHLD is ignored, and children end all the time. */
static void *bear_processes(void *unused) {
    while (!input_ended) {
        pid_t child = fork();
        if (child == 0) _exit(0);
        usleep(2000);
    }
    return unused;
}
static void ignored(void) {
    prepare_calls();
    signal(SIGCHLD, SIG_IGN);
    spawn(watch_input, NULL);
    spawn(bear_processes, NULL);
    long eintr = 0;
    ready();
    while (!input_ended) eintr += call("epoll_wait", 50) < 0 && errno == EINTR;
    clean_calls();
    printf("eintr %ld\n", eintr);
}

/* --- signals --- */
static void traps(int count) {
    signal(SIGTRAP, handle);
    ready();
    for (int i = 0; i < count; i++) {
        raise(SIGTRAP);
        if (i % 16 == 0) usleep(500);
    }
    printf("handled %d\n", handled);
}
static volatile int expected, misordered;
static void take(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    if (info->si_value.sival_int != expected || info->si_pid != getpid()) misordered++;
    expected++;
}
static void *queue_signals(void *count) {
    for (intptr_t i = 0; i < (intptr_t)count; i++) {
        union sigval value = {.sival_int = i};
        while (sigqueue(getpid(), SIGRTMIN + 3, value)) usleep(100);
        if (i % 8 == 0) usleep(300);
    }
    return NULL;
}
static void real_time(int count) {
    struct sigaction action = {.sa_sigaction = take, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGRTMIN + 3, &action, NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_t sender = spawn(queue_signals, (void *)(intptr_t)count);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    ready();
    while (expected < count) usleep(200);
    pthread_join(sender, NULL);
    printf("taken %d misordered %d\n", expected, misordered);
}
static void *pause_for_ever(void *unused) { for (;;) pause(); return unused; }
/* glibc cancels by signal 32 and sets the ids of all threads by 33. */
static void glibcs_own(int rounds) {
    ready();
    int cancelled = 0, failed = 0;
    for (int i = 0; i < rounds; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, pause_for_ever, NULL)) die("pthread_create");
        usleep(200);
        if (setgid(getgid())) failed++;
        pthread_cancel(thread);
        void *result;
        pthread_join(thread, &result);
        cancelled += result == PTHREAD_CANCELED;
    }
    printf("cancelled %d failed %d\n", cancelled, failed);
}
static void suspended(void) {
    struct sigaction action = {.sa_handler = handle};
    sigaction(SIGUSR1, &action, NULL);
    sigset_t set, none;
    sigemptyset(&set);
    sigemptyset(&none);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    ready();
    int result = sigsuspend(&none);
    printf("result %d errno %s handled %d\n", result, strerrorname_np(errno), handled);
}

/* --- processes --- */
static void vforks(int ms) {
    char text[16];
    snprintf(text, sizeof text, "%d", ms);
    ready();
    pid_t child = vfork();
    if (child == 0) {
        /* A child by vfork may do nothing but exec; it sleeps by the bare system call. */
        struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
        syscall(SYS_nanosleep, &time, NULL);
        execl("/bin/true", "true", (char *)NULL);
        _exit(96);
    }
    int status;
    if (waitpid(child, &status, 0) != child) die("waitpid");
    printf("child %d\n", status);
}
static char **own_words;
static void *exec_from_thread(void *unused) {
    usleep((intptr_t)unused);
    execl("/proc/self/exe", own_words[0], "say", "executed", (char *)NULL);
    die("execl");
    return NULL;
}
static void executes(int after) {
    spawn(wait_for_ever, NULL);
    spawn(wait_for_ever, NULL);
    ready();
    spawn(exec_from_thread, (void *)(intptr_t)after);
    for (;;) pause();
}
static void *outlive(void *unused) {
    until_end_of_input();
    puts("outlived");
    fflush(stdout);
    exit(5);
    return unused;
}
static void leader_ends(void) {
    spawn(outlive, NULL);
    ready();
    pthread_exit(NULL);
}

/* --- a program whose every output is known: all kinds of waits and threads --- */
static void work(void) {
    prepare_calls();
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    uint64_t hash = 14695981039346656037u;
    ready();
    for (int round = 0; round < 12; round++) {
        pthread_t threads[3];
        for (int i = 0; i < 3; i++) threads[i] = spawn(brief, (void *)&born);
        for (int i = 0; i < 300000; i++) hash = (hash ^ i) * 1099511628211u;
        void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(memory, round, 1 << 20);
        munmap(memory, 1 << 20);
        raise(SIGUSR1);
        pid_t child = fork();
        if (child == 0) _exit(round);
        int status;
        if (waitpid(child, &status, 0) != child) die("waitpid");
        usleep(1500);
        if (poll(NULL, 0, 2)) die("poll");
        for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
        printf("%d %016llx %d %d %ld\n", round, (unsigned long long)hash, WEXITSTATUS(status), handled, born);
        fflush(stdout);
    }
    clean_calls();
    exit(7);
}

/* --- memory calls: each thread maps, advises, grows and unmaps blocks of a length of its own --- */
static void *map(void *number) {
    size_t length = (100 + (intptr_t)number) * 4096;
    for (int i = 0; i < 40; i++) {
        char *block = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) die("mmap");
        *block = 1;
        if (madvise(block, length, MADV_DONTNEED)) die("madvise");
        block = mremap(block, length, 2 * length, MREMAP_MAYMOVE);
        if (block == MAP_FAILED) die("mremap");
        if (munmap(block, 2 * length)) die("munmap");
        /* And one of each that fails. */
        if (munmap((void *)1, 4096) == 0 || mmap(NULL, 0, 0, 0, -1, 0) != MAP_FAILED) die("no failure");
    }
    return NULL;
}
static void maps(int count) {
    pthread_t threads[64];
    void *end = sbrk(0);
    if (sbrk(8192) != end) die("sbrk");
    for (int i = 0; i < count; i++) threads[i] = spawn(map, (void *)(intptr_t)i);
    for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
    pid_t child = fork();
    if (child == 0) { map((void *)(intptr_t)50); _exit(4); }
    int status;
    if (waitpid(child, &status, 0) != child) die("waitpid");
    child = vfork();
    if (child == 0) { execl("/proc/self/exe", own_words[0], "say", "child", (char *)NULL); _exit(96); }
    if (waitpid(child, NULL, 0) != child) die("waitpid");
    printf("mapped %d\n", WEXITSTATUS(status));
}

int main(int count, char **words) {
    own_words = words;
    const char *what = count > 1 ? words[1] : "";
    const char *name = count > 2 ? words[2] : "";
    int number = count > 2 ? atoi(words[count - 1]) : 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(what, "idle")) idle(number);
    else if (!strcmp(what, "spin")) spinning(number);
    else if (!strcmp(what, "births")) births();
    else if (!strcmp(what, "counted")) counted(name, number);
    else if (!strcmp(what, "timed")) timed(name, number);
    else if (!strcmp(what, "storm")) storm(name, 0, number);
    else if (!strcmp(what, "storm-restart")) storm(name, SA_RESTART, number);
    else if (!strcmp(what, "ignored")) ignored();
    else if (!strcmp(what, "traps")) traps(number);
    else if (!strcmp(what, "real-time")) real_time(number);
    else if (!strcmp(what, "glibcs-own")) glibcs_own(number);
    else if (!strcmp(what, "suspended")) suspended();
    else if (!strcmp(what, "vfork")) vforks(number);
    else if (!strcmp(what, "executes")) executes(number);
    else if (!strcmp(what, "leader-ends")) leader_ends();
    else if (!strcmp(what, "work")) work();
    else if (!strcmp(what, "maps")) maps(number);
    else if (!strcmp(what, "say")) { puts(name); return 3; }
    else if (!strcmp(what, "not-dumpable")) { prctl(PR_SET_DUMPABLE, 0); idle(1); }
    else { fprintf(stderr, "no such target: %s\n", what); return 95; }
    return 0;
}
