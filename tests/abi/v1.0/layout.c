/* Where every field of version 1.0 is, for 64-bit machines. No number here ever changes. */
#include "seepmeter-plugin.h"

#include <stddef.h>

#define AT(type, field, offset, size)                                                     \
    _Static_assert(offsetof(struct seepmeter_##type, field) == (offset), #type "." #field); \
    _Static_assert(sizeof(((struct seepmeter_##type *)0)->field) == (size), #type "." #field)

/* A later header may have more behind it, but never less. */
#ifdef LATER
#define WHOLE(type, size) _Static_assert(sizeof(struct seepmeter_##type) >= (size), #type)
#else
#define WHOLE(type, size) _Static_assert(sizeof(struct seepmeter_##type) == (size), #type)
#endif

AT(bytes, data, 0, 8);
AT(bytes, length, 8, 8);
WHOLE(bytes, 16);

AT(host, struct_size, 0, 4);
AT(host, minor, 4, 4);
AT(host, version, 8, 16);
AT(host, get_extension, 24, 8);
WHOLE(host, 32);

AT(plugin, struct_size, 0, 4);
AT(plugin, kind, 4, 4);
AT(plugin, minor, 8, 4);
AT(plugin, disturbs, 12, 4);
AT(plugin, patience, 16, 8);
AT(plugin, name, 24, 16);
AT(plugin, version, 40, 16);
AT(plugin, about, 56, 16);
AT(plugin, options, 72, 8);
AT(plugin, option_count, 80, 8);
AT(plugin, option_size, 88, 8);
AT(plugin, get_extension, 96, 8);
AT(plugin, create, 104, 8);
AT(plugin, configure, 112, 8);
AT(plugin, ready, 120, 8);
AT(plugin, start, 128, 8);
AT(plugin, sample, 136, 8);
AT(plugin, wait, 144, 8);
AT(plugin, write, 152, 8);
AT(plugin, flush, 160, 8);
AT(plugin, stop, 168, 8);
AT(plugin, destroy, 176, 8);
WHOLE(plugin, 184);

AT(option, key, 0, 16);
AT(option, kind, 16, 16);
AT(option, help, 32, 16);
AT(option, default_value, 48, 16);
AT(option, required, 64, 4);
AT(option, reserved, 68, 4);
WHOLE(option, 72);

AT(instance_host, struct_size, 0, 4);
AT(instance_host, reserved, 4, 4);
AT(instance_host, context, 8, 8);
AT(instance_host, message, 16, 8);
AT(instance_host, get_extension, 24, 8);
AT(instance_host, now, 32, 8);
AT(instance_host, metric, 40, 8);
AT(instance_host, subject, 48, 8);
AT(instance_host, points, 56, 8);
AT(instance_host, event, 64, 8);
AT(instance_host, held, 72, 8);
WHOLE(instance_host, 80);

AT(target, struct_size, 0, 4);
AT(target, pid, 4, 4);
AT(target, start_time, 8, 8);
AT(target, subject, 16, 4);
AT(target, spawned, 20, 4);
AT(target, proc_root, 24, 16);
WHOLE(target, 40);

AT(record, size, 0, 4);
AT(record, kind, 4, 4);
WHOLE(record, 8);

AT(header, size, 0, 4);
AT(header, kind, 4, 4);
AT(header, format, 8, 4);
AT(header, pid, 12, 4);
AT(header, page_size, 16, 8);
AT(header, seepmeter, 24, 16);
AT(header, start, 40, 16);
AT(header, host, 56, 16);
AT(header, kernel, 72, 16);
AT(header, command, 88, 8);
AT(header, command_count, 96, 8);
AT(header, samplers, 104, 8);
AT(header, sampler_count, 112, 8);
AT(header, sampler_size, 120, 8);
WHOLE(header, 128);

AT(sampler_info, name, 0, 16);
AT(sampler_info, interval, 16, 8);
AT(sampler_info, options, 24, 8);
AT(sampler_info, option_count, 32, 8);
WHOLE(sampler_info, 40);

AT(option_pair, key, 0, 16);
AT(option_pair, value, 16, 16);
WHOLE(option_pair, 32);

AT(metric, size, 0, 4);
AT(metric, kind, 4, 4);
AT(metric, id, 8, 4);
AT(metric, unit, 12, 4);
AT(metric, name, 16, 16);
AT(metric, help, 32, 16);
WHOLE(metric, 48);

AT(subject, size, 0, 4);
AT(subject, kind, 4, 4);
AT(subject, id, 8, 4);
AT(subject, parent, 12, 4);
AT(subject, what, 16, 16);
AT(subject, name, 32, 16);
AT(subject, attrs, 48, 8);
AT(subject, attr_count, 56, 8);
WHOLE(subject, 64);

AT(attr, key, 0, 16);
AT(attr, text, 16, 16);
AT(attr, number, 32, 8);
AT(attr, is_number, 40, 8);
WHOLE(attr, 48);

AT(sample, size, 0, 4);
AT(sample, kind, 4, 4);
AT(sample, t, 8, 8);
AT(sample, took, 16, 8);
AT(sample, sampler, 24, 4);
AT(sample, reserved, 28, 4);
AT(sample, points, 32, 8);
AT(sample, point_count, 40, 8);
WHOLE(sample, 48);

AT(point, subject, 0, 4);
AT(point, metric, 4, 4);
AT(point, value, 8, 8);
WHOLE(point, 16);

AT(event, size, 0, 4);
AT(event, kind, 4, 4);
AT(event, t, 8, 8);
AT(event, what, 16, 16);
AT(event, subject, 32, 4);
AT(event, sampler, 36, 4);
AT(event, value, 40, 8);
AT(event, has_value, 48, 8);
AT(event, text, 56, 16);
WHOLE(event, 72);

AT(footer, size, 0, 4);
AT(footer, kind, 4, 4);
AT(footer, t, 8, 8);
AT(footer, end, 16, 4);
AT(footer, end_value, 20, 4);
AT(footer, samples, 24, 8);
AT(footer, late, 32, 8);
AT(footer, missed, 40, 8);
AT(footer, cpu, 48, 8);
AT(footer, peak_rss, 56, 8);
AT(footer, lost, 64, 8);
AT(footer, lost_count, 72, 8);
WHOLE(footer, 80);

AT(lost, sink, 0, 16);
AT(lost, samples, 16, 8);
WHOLE(lost, 24);

_Static_assert(SEEPMETER_MAJOR == 1, "the major version");
_Static_assert(SEEPMETER_GONE == -65537 && SEEPMETER_SKIP == -65538, "results");
_Static_assert(SEEPMETER_PLEASE_SLEEP == 1, "the result of wait");
_Static_assert(SEEPMETER_KIND_SAMPLER == 1 && SEEPMETER_KIND_SINK == 2, "kinds");
_Static_assert(SEEPMETER_UNIT_BYTES == 1 && SEEPMETER_UNIT_COUNT == 2, "units");
_Static_assert(SEEPMETER_UNIT_NANOSECONDS == 3 && SEEPMETER_NONE == 0xffffffff, "units and none");
_Static_assert(SEEPMETER_RECORD_HEADER == 1 && SEEPMETER_RECORD_METRIC == 2, "records");
_Static_assert(SEEPMETER_RECORD_SUBJECT == 3 && SEEPMETER_RECORD_SAMPLE == 4, "records");
_Static_assert(SEEPMETER_RECORD_EVENT == 5 && SEEPMETER_RECORD_FOOTER == 6, "records");
_Static_assert(SEEPMETER_END_EXITED == 1 && SEEPMETER_END_KILLED == 2, "ends");
_Static_assert(SEEPMETER_END_GONE == 3 && SEEPMETER_END_LEFT == 4, "ends");
_Static_assert(SEEPMETER_END_NOT_STARTED == 5, "ends");
_Static_assert(SEEPMETER_LEVEL_ERROR == 1 && SEEPMETER_LEVEL_WARNING == 2, "levels");
