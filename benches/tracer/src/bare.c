/* The least that a tracer has to do: seize, then interrupt all, wait for each, read its registers, and
 * let each go. One round for each line of input; says how many ns the pause took. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

static long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

int main(int count, char **words) {
    static int tids[4096];
    static struct user_regs_struct registers[4096];
    char path[64], line[16];
    if (count < 2) return 2;
    snprintf(path, sizeof path, "/proc/%s/task", words[1]);
    while (fgets(line, sizeof line, stdin)) {
        int threads = 0;
        DIR *tasks = opendir(path);
        for (struct dirent *task; tasks && (task = readdir(tasks));)
            if (task->d_name[0] != '.') tids[threads++] = atoi(task->d_name);
        if (tasks) closedir(tasks);
        for (int i = 0; i < threads; i++)
            if (ptrace(PTRACE_SEIZE, tids[i], 0, 0)) return 3;
        long began = now();
        for (int i = 0; i < threads; i++) ptrace(PTRACE_INTERRUPT, tids[i], 0, 0);
        for (int i = 0, status; i < threads; i++)
            if (waitpid(tids[i], &status, __WALL) != tids[i]) return 4;
        for (int i = 0; i < threads; i++) ptrace(PTRACE_GETREGS, tids[i], 0, &registers[i]);
        for (int i = 0; i < threads; i++) ptrace(PTRACE_DETACH, tids[i], 0, 0);
        printf("%ld\n", now() - began);
        fflush(stdout);
    }
    return 0;
}
