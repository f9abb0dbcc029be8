/*
 * A sampler in C: counts the open file descriptors of its targets.
 *
 *     cc -shared -fPIC -I include -o open-files.so plugins/examples/sampler-in-c/sampler.c
 *     seepmeter run --sampler ./open-files.so --sink csv -- COMMAND
 */
#define _POSIX_C_SOURCE 200809L
#include "seepmeter-plugin.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct target {
    uint32_t subject;
    int64_t last_emitted; /* -1 before the first */
    char folder[256];     /* has an entry for each descriptor */
};

struct fds {
    const struct seepmeter_instance_host *host;
    uint32_t open_fds;
    struct target *targets;
    size_t target_count;
};

static int32_t fail(struct fds *self, int32_t code, const char *folder, const char *why)
{
    char text[400];
    int length = snprintf(text, sizeof text, "cannot read %s: %s", folder, why);
    if (length < 0 || (size_t)length >= sizeof text)
        length = sizeof text - 1;
    struct seepmeter_bytes bytes = { (const uint8_t *)text, (uint64_t)length };
    self->host->message(self->host->context, SEEPMETER_LEVEL_ERROR, bytes);
    return code;
}

/* How many entries a folder has, or -1. */
static int64_t count_entries(const char *folder)
{
    DIR *entries = opendir(folder);
    if (!entries)
        return -1;
    int64_t count = 0;
    for (struct dirent *entry; (entry = readdir(entries));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            count++;
    closedir(entries);
    return count;
}

static int32_t create(const struct seepmeter_instance_host *host, void **instance)
{
    struct fds *self = calloc(1, sizeof *self);
    if (!self)
        return -ENOMEM;
    self->host = host;
    *instance = self;
    return 0;
}

static int32_t start(void *instance)
{
    struct fds *self = instance;
    struct seepmeter_metric metric = {
        .struct_size = sizeof metric,
        .record_kind = SEEPMETER_RECORD_METRIC,
        .unit = SEEPMETER_UNIT_COUNT,
        .kind = SEEPMETER_METRIC_GAUGE,
        .name = SEEPMETER_TEXT("open_fds"),
        .subject_kind = SEEPMETER_TEXT("process"),
        .help = SEEPMETER_TEXT("open file descriptors"),
    };
    return self->host->metric(self->host->context, &metric, &self->open_fds);
}

static int32_t add_target(void *instance, const struct seepmeter_target *target)
{
    struct fds *self = instance;
    struct target new = { .subject = target->subject, .last_emitted = -1 };
    int length = snprintf(new.folder, sizeof new.folder, "%.*s/%d/fd",
                          (int)target->proc_root.length, (const char *)target->proc_root.data,
                          (int)target->pid);
    if (length < 0 || (size_t)length >= sizeof new.folder)
        return fail(self, -ENAMETOOLONG, new.folder, "its path is too long");
    if (count_entries(new.folder) < 0)
        return fail(self, SEEPMETER_SKIP, new.folder, strerror(errno));
    struct target *targets = realloc(self->targets, (self->target_count + 1) * sizeof new);
    if (!targets)
        return -ENOMEM;
    self->targets = targets;
    self->targets[self->target_count++] = new;
    return 0;
}

static int32_t remove_target(void *instance, uint32_t subject)
{
    struct fds *self = instance;
    for (size_t i = 0; i < self->target_count; i++)
        if (self->targets[i].subject == subject) {
            self->targets[i] = self->targets[--self->target_count];
            break;
        }
    return 0;
}

static int32_t sample(void *instance)
{
    struct fds *self = instance;
    int alive = 0;
    for (size_t i = 0; i < self->target_count; i++) {
        struct target *target = &self->targets[i];
        int64_t count = count_entries(target->folder);
        /* What could be read before and can't be read now has ended, which is nobody's fault. */
        if (count < 0)
            continue;
        alive = 1;
        /* A value stands until the next one, so only what has changed is emitted. */
        if (count == target->last_emitted)
            continue;
        struct seepmeter_point point = { target->subject, self->open_fds, count };
        int32_t code = self->host->points(self->host->context, &point, 1);
        if (code != 0)
            return code;
        target->last_emitted = count;
    }
    return alive ? 0 : SEEPMETER_GONE;
}

static void destroy(void *instance)
{
    struct fds *self = instance;
    free(self->targets);
    free(self);
}

static const struct seepmeter_plugin plugin = {
    .struct_size = sizeof plugin,
    .kind = SEEPMETER_KIND_SAMPLER,
    .minor = SEEPMETER_MINOR,
    .name = SEEPMETER_TEXT("open-files"),
    .version = SEEPMETER_TEXT("1.0"),
    .about = SEEPMETER_TEXT("counts open file descriptors"),
    .create = create,
    .start = start,
    .add_target = add_target,
    .remove_target = remove_target,
    .sample = sample,
    .destroy = destroy,
};

SEEPMETER_EXPORT const struct seepmeter_plugin *seepmeter_plugin_v1(const struct seepmeter_host *host)
{
    (void)host;
    return &plugin;
}
