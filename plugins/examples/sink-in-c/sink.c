/*
 * A sink in C: counts the samples, and says how many there were.
 *
 *     cc -shared -fPIC -I include -o count.so plugins/examples/sink-in-c/sink.c
 *     seepmeter run --sink ./count.so,label=looks -- sleep 3
 */
#include "seepmeter-plugin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct count {
    const struct seepmeter_instance_host *host;
    char label[64];
    uint64_t samples;
};

static int32_t fail(struct count *self, int32_t code, const char *why)
{
    struct seepmeter_bytes text = { (const uint8_t *)why, strlen(why) };
    self->host->message(self->host->context, SEEPMETER_LEVEL_ERROR, text);
    return code;
}

static int32_t create(const struct seepmeter_instance_host *host, void **instance)
{
    struct count *self = calloc(1, sizeof *self);
    if (!self)
        return -ENOMEM;
    self->host = host;
    strcpy(self->label, "samples");
    *instance = self;
    return 0;
}

static int32_t configure(void *instance, struct seepmeter_bytes key, struct seepmeter_bytes value)
{
    struct count *self = instance;
    if (key.length != 5 || memcmp(key.data, "label", 5) != 0)
        return fail(self, -EINVAL, "there is one option: label");
    if (value.length >= sizeof self->label)
        return fail(self, -EINVAL, "option `label` is longer than 63 bytes");
    memcpy(self->label, value.data, value.length);
    self->label[value.length] = '\0';
    return 0;
}

static int32_t write_record(void *instance, const struct seepmeter_record *record)
{
    struct count *self = instance;
    if (record->kind == SEEPMETER_RECORD_SAMPLE)
        self->samples++;
    return 0;
}

static int32_t stop(void *instance)
{
    struct count *self = instance;
    if (printf("%llu %s\n", (unsigned long long)self->samples, self->label) < 0 || fflush(stdout))
        return fail(self, -errno, "cannot write to standard output");
    return 0;
}

static const struct seepmeter_option options[] = {
    { SEEPMETER_TEXT("label"), SEEPMETER_TEXT("text"), SEEPMETER_TEXT("What to call the samples."),
      SEEPMETER_TEXT("samples"), 0, 0 },
};

static const struct seepmeter_plugin plugin = {
    .struct_size = sizeof plugin,
    .kind = SEEPMETER_KIND_SINK,
    .minor = SEEPMETER_MINOR,
    .name = SEEPMETER_TEXT("count"),
    .version = SEEPMETER_TEXT("1.0"),
    .about = SEEPMETER_TEXT("counts the samples of a run"),
    .options = options,
    .option_count = 1,
    .option_size = sizeof options[0],
    .create = create,
    .configure = configure,
    .write = write_record,
    .stop = stop,
    .destroy = free,
};

SEEPMETER_EXPORT const struct seepmeter_plugin *seepmeter_plugin_v1(const struct seepmeter_host *host)
{
    (void)host;
    return &plugin;
}
