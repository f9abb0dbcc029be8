// A target of exits.rs: holds 16 MiB and ends in one of several ways.

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 16 << 20 };

static char *volatile kept;
static pthread_t leader;

static void *end_process(void *unused) {
    (void)unused;
    exit(5);
}

static void *end_last(void *unused) {
    (void)unused;
    pthread_join(leader, 0);
    exit(6);
}

static void *end_self(void *unused) {
    return unused;
}

int main(int argc, char **argv) {
    const char *way = argc > 1 ? argv[1] : "";
    pthread_t thread;
    kept = malloc(SIZE);
    memset(kept, 1, SIZE);
    leader = pthread_self();
    if (!strcmp(way, "killed")) {
        raise(SIGKILL);
    } else if (!strcmp(way, "thread-exits")) {
        pthread_create(&thread, 0, end_process, 0);
        pause();
    } else if (!strcmp(way, "leader-first")) {
        pthread_create(&thread, 0, end_last, 0);
        pthread_exit(0);
    } else if (!strcmp(way, "many-threads")) {
        for (int i = 0; i < 200; i++) {
            pthread_create(&thread, 0, end_self, 0);
            pthread_join(thread, 0);
        }
    } else if (!strcmp(way, "forks")) {
        for (int i = 0; i < 20; i++) {
            if (fork() == 0) {
                _exit(0);
            }
        }
        while (wait(0) > 0) {
        }
    }
    return 0;
}
