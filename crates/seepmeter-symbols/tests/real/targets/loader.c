/* Loads the library that it is given and sleeps in it until SIGUSR1; unloads it, again and again. */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void handler(int signal) {
    (void)signal;
    signals++;
}

static sigset_t usr1, others;

static void back(void) {
    puts("inside");
    fflush(stdout);
    int before = signals;
    while (signals == before) sigsuspend(&others);
}

int main(int argc, char **argv) {
    (void)argc;
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, 0);
    /* It comes in sigsuspend alone. */
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, &others);
    for (;;) {
        void *library = dlopen(argv[1], RTLD_NOW);
        if (!library) {
            /* It was deleted. */
            for (;;) pause();
        }
        void (*inside)(void (*)(void)) = (void (*)(void (*)(void)))dlsym(library, "inside_library");
        inside(back);
        dlclose(library);
        puts("unloaded");
        fflush(stdout);
    }
}
