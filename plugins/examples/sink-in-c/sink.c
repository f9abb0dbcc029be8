/*
 * A sink in C: counts the samples, and says how many there were and how large a process was at most.
 *
 *     cc -shared -fPIC -I include -o count.so plugins/examples/sink-in-c/sink.c
 *     seepmeter run --sink ./count.so,label=ticks -- sleep 3
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
    int64_t largest_rss; /* -1 if there was none */
    uint32_t *rss;       /* the metrics `rss` of processes: each sampler defines its own */
    size_t rss_count;
};

static int32_t fail(struct count *self, int32_t code, const char *why)
{
    struct seepmeter_bytes text = { (const uint8_t *)why, strlen(why) };
    self->host->message(self->host->context, SEEPMETER_LEVEL_ERROR, text);
    return code;
}

static int is(struct seepmeter_bytes bytes, const char *text)
{
    return bytes.length == strlen(text) && memcmp(bytes.data, text, bytes.length) == 0;
}

static int32_t create(const struct seepmeter_instance_host *host, void **instance)
{
    struct count *self = calloc(1, sizeof *self);
    if (!self)
        return -ENOMEM;
    self->host = host;
    self->largest_rss = -1;
    strcpy(self->label, "samples");
    *instance = self;
    return 0;
}

static int32_t configure(void *instance, struct seepmeter_bytes key, struct seepmeter_bytes value)
{
    struct count *self = instance;
    if (!is(key, "label"))
        return fail(self, -EINVAL, "there is one option: label");
    if (value.length >= sizeof self->label)
        return fail(self, -EINVAL, "option `label` is longer than 63 bytes");
    memcpy(self->label, value.data, value.length);
    self->label[value.length] = '\0';
    return 0;
}

static int32_t learn_metric(struct count *self, const struct seepmeter_metric *metric)
{
    /* Mappings have an `rss` too, so the name alone does not say whose it is. */
    if (!is(metric->name, "rss") || !is(metric->subject_kind, "process"))
        return 0;
    uint32_t *rss = realloc(self->rss, (self->rss_count + 1) * sizeof *rss);
    if (!rss)
        return -ENOMEM;
    self->rss = rss;
    self->rss[self->rss_count++] = metric->id;
    return 0;
}

static void count_sample(struct count *self, const struct seepmeter_sample *sample)
{
    self->samples++;
    for (uint64_t i = 0; i < sample->point_count; i++)
        for (size_t k = 0; k < self->rss_count; k++)
            if (sample->points[i].metric == self->rss[k]
                && sample->points[i].value > self->largest_rss)
                self->largest_rss = sample->points[i].value;
}

static int32_t write_record(void *instance, const struct seepmeter_record *record)
{
    struct count *self = instance;
    switch (record->record_kind) {
    case SEEPMETER_RECORD_METRIC:
        return learn_metric(self, (const struct seepmeter_metric *)record);
    case SEEPMETER_RECORD_SAMPLE:
        count_sample(self, (const struct seepmeter_sample *)record);
        return 0;
    default: /* A kind that is not needed, or not known. */
        return 0;
    }
}

static int32_t stop(void *instance)
{
    struct count *self = instance;
    int failed = printf("%llu %s", (unsigned long long)self->samples, self->label) < 0;
    if (self->largest_rss >= 0)
        failed |= printf(", a process had %lld bytes at most", (long long)self->largest_rss) < 0;
    if (failed || puts("") < 0 || fflush(stdout))
        return fail(self, -errno, "cannot write to standard output");
    return 0;
}

static void destroy(void *instance)
{
    struct count *self = instance;
    free(self->rss);
    free(self);
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
    .destroy = destroy,
};

SEEPMETER_EXPORT const struct seepmeter_plugin *seepmeter_plugin_v1(const struct seepmeter_host *host)
{
    (void)host;
    return &plugin;
}
