/* Generates a function that calls back, and tells of it in a perf map: at once, or on SIGUSR1. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile sig_atomic_t told;
static void *code;

static void tell(int signal) {
    (void)signal;
    char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%d.map", getpid());
    FILE *map = fopen(path, "a");
    fprintf(map, "%lx 20 generated: the function\n", (unsigned long)code);
    fclose(map);
    told = 1;
}

static void rest(void) {
    puts("ready");
    fflush(stdout);
    while (!told) pause();
    puts("told");
    fflush(stdout);
    for (;;) pause();
}

int main(int argc, char **argv) {
    (void)argv;
    /* push %rbp; mov %rsp,%rbp; call *%rdi; pop %rbp; ret */
    static const unsigned char bytes[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
    code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(code, bytes, sizeof bytes);
    signal(SIGUSR1, tell);
    if (argc > 1) tell(0);
    ((void (*)(void (*)(void)))code)(rest);
    __asm__ volatile("" ::: "memory");
    return 0;
}
