// Holds so many MiB in small pages, and for each line that it reads prints how long a fork of its own takes, in ns.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words) {
    size_t size = (count > 1 ? strtoul(words[1], NULL, 10) : 1) << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || madvise(memory, size, MADV_NOHUGEPAGE)) return 1;
    memset(memory, 1, size);
    char line[16];
    puts("ready"), fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        pid_t pid = fork();
        if (!pid) _exit(0);
        clock_gettime(CLOCK_MONOTONIC, &after);
        waitpid(pid, NULL, 0);
        printf("%ld\n", (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec);
        fflush(stdout);
    }
    return 0;
}
