/* A sink that does in one of its calls what the compiler was told: -DIN_WRITE=statement and the like. */
#define _GNU_SOURCE
#include "seepmeter-plugin.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef IN_CONSTRUCTOR
#define IN_CONSTRUCTOR
#endif
#ifndef IN_CREATE
#define IN_CREATE
#endif
#ifndef IN_WRITE
#define IN_WRITE
#endif
#ifndef IN_STOP
#define IN_STOP
#endif

void hang(void);
void fault(void);
void overflow(void);
void exit_elsewhere(void);

void hang(void)
{
    for (;;)
        pause();
}

void fault(void)
{
    *(volatile int *)(size_t)16 = 1;
}

void overflow(void)
{
    volatile char frame[4096];
    memset((char *)frame, 1, sizeof frame);
    overflow();
    frame[0] = 2;
}

static void *exiting(void *nothing)
{
    exit(0);
    return nothing;
}

void exit_elsewhere(void)
{
    pthread_t thread;
    static int once;
    if (!once++)
        pthread_create(&thread, NULL, exiting, NULL);
}

#ifdef LONG_ABOUT
static uint8_t long_about[1200000];
#endif

__attribute__((constructor)) static void begin(void)
{
#ifdef LONG_ABOUT
    memset(long_about, 'x', sizeof long_about);
#endif
    IN_CONSTRUCTOR;
}

static int32_t create(const struct seepmeter_instance_host *host, void **instance)
{
    (void)host;
    *instance = NULL;
    IN_CREATE;
    return 0;
}

static void destroy(void *instance) { (void)instance; }

static int32_t write_record(void *instance, const struct seepmeter_record *record)
{
    (void)instance;
    (void)record;
    IN_WRITE;
    return 0;
}

static int32_t stop(void *instance)
{
    (void)instance;
    IN_STOP;
    return 0;
}

#ifdef LONG_ABOUT
#define ABOUT { long_about, sizeof long_about }
#else
#define ABOUT SEEPMETER_TEXT("does what it was compiled for")
#endif

static const struct seepmeter_plugin plugin = {
    .struct_size = sizeof plugin,
    .kind = SEEPMETER_KIND_SINK,
    .max_batch_delay = 1000000,
    .name = SEEPMETER_TEXT("hostile"),
    .version = SEEPMETER_TEXT("1.0"),
    .about = ABOUT,
    .create = create,
    .write = write_record,
    .stop = stop,
    .destroy = destroy,
};

SEEPMETER_EXPORT const struct seepmeter_plugin *seepmeter_plugin_v1(const struct seepmeter_host *host)
{
    return host->struct_size >= sizeof *host ? &plugin : NULL;
}
