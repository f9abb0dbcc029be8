#!/usr/bin/env perl
# A busy target: writes all over its memory for so many seconds.
#
#     perl busy.pl SECONDS

use strict;
use warnings;
use Time::HiRes qw(time);

my $end    = time + shift;
my $memory = "\0" x (16 << 20);
while (time < $end) {
    substr($memory, 4096 * int(rand 4096), 1) = 'x' for 1 .. 1000;
}
