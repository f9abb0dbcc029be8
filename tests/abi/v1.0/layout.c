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
AT(plugin, pauses, 12, 4);
AT(plugin, max_batch_delay, 16, 8);
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
AT(plugin, add_target, 136, 8);
AT(plugin, remove_target, 144, 8);
AT(plugin, sample, 152, 8);
AT(plugin, wait, 160, 8);
AT(plugin, write, 168, 8);
AT(plugin, flush, 176, 8);
AT(plugin, conclude, 184, 8);
AT(plugin, stop, 192, 8);
AT(plugin, destroy, 200, 8);
WHOLE(plugin, 208);

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
AT(instance_host, image, 56, 8);
AT(instance_host, frame, 64, 8);
AT(instance_host, stack, 72, 8);
AT(instance_host, points, 80, 8);
AT(instance_host, partial, 88, 8);
AT(instance_host, paused, 96, 8);
AT(instance_host, event, 104, 8);
AT(instance_host, keep_alive, 112, 8);
WHOLE(instance_host, 120);

AT(target, struct_size, 0, 4);
AT(target, pid, 4, 4);
AT(target, start_time, 8, 8);
AT(target, subject, 16, 4);
AT(target, spawned, 20, 4);
AT(target, proc_root, 24, 16);
AT(target, executable, 40, 16);
WHOLE(target, 56);

AT(record, struct_size, 0, 4);
AT(record, record_kind, 4, 4);
WHOLE(record, 8);

AT(header, struct_size, 0, 4);
AT(header, record_kind, 4, 4);
AT(header, format, 8, 4);
AT(header, reserved, 12, 4);
AT(header, page_size, 16, 8);
AT(header, seepmeter, 24, 16);
AT(header, start, 40, 16);
AT(header, host, 56, 16);
AT(header, kernel, 72, 16);
AT(header, boot_id, 88, 16);
AT(header, targets, 104, 8);
AT(header, target_count, 112, 8);
AT(header, target_size, 120, 8);
AT(header, samplers, 128, 8);
AT(header, sampler_count, 136, 8);
AT(header, sampler_size, 144, 8);
WHOLE(header, 152);

AT(target_info, subject, 0, 4);
AT(target_info, origin, 4, 4);
AT(target_info, pid, 8, 4);
AT(target_info, reserved, 12, 4);
AT(target_info, cgroup, 16, 16);
AT(target_info, command, 32, 8);
AT(target_info, command_count, 40, 8);
WHOLE(target_info, 48);

AT(sampler_info, name, 0, 16);
AT(sampler_info, interval, 16, 8);
AT(sampler_info, options, 24, 8);
AT(sampler_info, option_count, 32, 8);
WHOLE(sampler_info, 40);

AT(option_pair, key, 0, 16);
AT(option_pair, value, 16, 16);
WHOLE(option_pair, 32);

AT(metric, struct_size, 0, 4);
AT(metric, record_kind, 4, 4);
AT(metric, id, 8, 4);
AT(metric, sampler, 12, 4);
AT(metric, unit, 16, 4);
AT(metric, kind, 20, 4);
AT(metric, name, 24, 16);
AT(metric, subject_kind, 40, 16);
AT(metric, help, 56, 16);
WHOLE(metric, 72);

AT(subject, struct_size, 0, 4);
AT(subject, record_kind, 4, 4);
AT(subject, id, 8, 4);
AT(subject, parent, 12, 4);
AT(subject, kind, 16, 16);
AT(subject, name, 32, 16);
AT(subject, attributes, 48, 8);
AT(subject, attribute_count, 56, 8);
WHOLE(subject, 64);

AT(attribute, key, 0, 16);
AT(attribute, text, 16, 16);
AT(attribute, number, 32, 8);
AT(attribute, is_number, 40, 8);
WHOLE(attribute, 48);

AT(image, struct_size, 0, 4);
AT(image, record_kind, 4, 4);
AT(image, id, 8, 4);
AT(image, reserved, 12, 4);
AT(image, path, 16, 16);
AT(image, build_id, 32, 16);
WHOLE(image, 48);

AT(frame, struct_size, 0, 4);
AT(frame, record_kind, 4, 4);
AT(frame, id, 8, 4);
AT(frame, image, 12, 4);
AT(frame, address, 16, 8);
AT(frame, function, 24, 16);
AT(frame, file, 40, 16);
AT(frame, line, 56, 4);
AT(frame, reserved, 60, 4);
AT(frame, inlined, 64, 8);
AT(frame, inlined_count, 72, 8);
WHOLE(frame, 80);

AT(inlined_call, function, 0, 16);
AT(inlined_call, file, 16, 16);
AT(inlined_call, line, 32, 4);
AT(inlined_call, reserved, 36, 4);
WHOLE(inlined_call, 40);

AT(stack, struct_size, 0, 4);
AT(stack, record_kind, 4, 4);
AT(stack, id, 8, 4);
AT(stack, reserved, 12, 4);
AT(stack, frames, 16, 8);
AT(stack, frame_count, 24, 8);
AT(stack, truncated, 32, 16);
WHOLE(stack, 48);

AT(sample, struct_size, 0, 4);
AT(sample, record_kind, 4, 4);
AT(sample, t, 8, 8);
AT(sample, duration, 16, 8);
AT(sample, sampler, 24, 4);
AT(sample, partial, 28, 4);
AT(sample, points, 32, 8);
AT(sample, point_count, 40, 8);
WHOLE(sample, 48);

AT(point, subject, 0, 4);
AT(point, metric, 4, 4);
AT(point, value, 8, 8);
WHOLE(point, 16);

AT(event, struct_size, 0, 4);
AT(event, record_kind, 4, 4);
AT(event, t, 8, 8);
AT(event, kind, 16, 16);
AT(event, subject, 32, 4);
AT(event, sampler, 36, 4);
AT(event, number, 40, 8);
AT(event, has_number, 48, 8);
AT(event, text, 56, 16);
WHOLE(event, 72);

AT(footer, struct_size, 0, 4);
AT(footer, record_kind, 4, 4);
AT(footer, t, 8, 8);
AT(footer, ends, 16, 8);
AT(footer, end_count, 24, 8);
AT(footer, samples, 32, 8);
AT(footer, late, 40, 8);
AT(footer, missed, 48, 8);
AT(footer, dropped, 56, 8);
AT(footer, dropped_count, 64, 8);
AT(footer, cpu, 72, 8);
AT(footer, peak_rss, 80, 8);
AT(footer, has_cpu, 88, 4);
AT(footer, has_peak_rss, 92, 4);
WHOLE(footer, 96);

AT(target_end, subject, 0, 4);
AT(target_end, end, 4, 4);
AT(target_end, value, 8, 4);
AT(target_end, reserved, 12, 4);
WHOLE(target_end, 16);

AT(dropped, sink, 0, 16);
AT(dropped, samples, 16, 8);
WHOLE(dropped, 24);

_Static_assert(SEEPMETER_MAJOR == 1, "the major version");
_Static_assert(SEEPMETER_GONE == -65537 && SEEPMETER_SKIP == -65538, "results");
_Static_assert(SEEPMETER_PLEASE_SLEEP == 1, "the result of wait");
_Static_assert(SEEPMETER_KIND_SAMPLER == 1 && SEEPMETER_KIND_SINK == 2, "kinds");
_Static_assert(SEEPMETER_UNIT_BYTES == 1 && SEEPMETER_UNIT_COUNT == 2, "units");
_Static_assert(SEEPMETER_UNIT_NANOSECONDS == 3 && SEEPMETER_UNIT_STACK == 4, "units");
_Static_assert(SEEPMETER_METRIC_GAUGE == 1 && SEEPMETER_METRIC_COUNTER == 2, "kinds of metrics");
_Static_assert(SEEPMETER_METRIC_HIGH_WATER == 3, "kinds of metrics");
_Static_assert(SEEPMETER_NONE == 0xffffffff && SEEPMETER_MAX_BYTES == 1 << 28, "none and the bound");
_Static_assert(SEEPMETER_RECORD_HEADER == 1 && SEEPMETER_RECORD_METRIC == 2, "records");
_Static_assert(SEEPMETER_RECORD_SUBJECT == 3 && SEEPMETER_RECORD_IMAGE == 4, "records");
_Static_assert(SEEPMETER_RECORD_FRAME == 5 && SEEPMETER_RECORD_STACK == 6, "records");
_Static_assert(SEEPMETER_RECORD_SAMPLE == 7 && SEEPMETER_RECORD_EVENT == 8, "records");
_Static_assert(SEEPMETER_RECORD_FOOTER == 9, "records");
_Static_assert(SEEPMETER_TARGET_COMMAND == 1 && SEEPMETER_TARGET_PID == 2, "origins of targets");
_Static_assert(SEEPMETER_TARGET_CGROUP == 3, "origins of targets");
_Static_assert(SEEPMETER_END_EXITED == 1 && SEEPMETER_END_KILLED == 2, "ends");
_Static_assert(SEEPMETER_END_GONE == 3 && SEEPMETER_END_LEFT == 4, "ends");
_Static_assert(SEEPMETER_END_NOT_STARTED == 5, "ends");
_Static_assert(SEEPMETER_LEVEL_ERROR == 1 && SEEPMETER_LEVEL_WARNING == 2, "levels");
