#!/usr/bin/env perl
# What Seepmeter grew from, as a Perl script: it spawns a command, prints the number of its resident
# pages at an interval, and ends as the command ended.
#
#     perl ancestor.pl SECONDS COMMAND [ARG...]

use strict;
use warnings;
use Fcntl qw(F_SETFD FD_CLOEXEC);
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep);

my ($interval, @command) = @ARGV;
die "usage: $0 SECONDS COMMAND [ARG...]\n" unless @command;

# The sentinel: it ends by itself at the exec. It is made before the fork, or it would tie nothing.
pipe(my $reader, my $writer) or die "cannot make a pipe: $!\n";
my $pid = fork // die "cannot fork: $!\n";
if ($pid == 0) {
    close $reader;
    fcntl($writer, F_SETFD, FD_CLOEXEC) or die "cannot set close-on-exec: $!\n";
    { no warnings 'exec'; exec { $command[0] } @command; }
    syswrite $writer, pack('i', $! + 0);
    POSIX::_exit(127);
}
close $writer;
if (sysread $reader, my $errno, 4) {
    waitpid $pid, 0;
    $! = unpack 'i', $errno;
    die "cannot execute $command[0]: $!\n";
}

# Whoever looks on wants each number when it is taken.
$| = 1;
while (waitpid($pid, WNOHANG) == 0) {
    open my $statm, '<', "/proc/$pid/statm" or last;
    my (undef, $resident) = split ' ', scalar <$statm>;
    close $statm;
    print "$resident\n";
    sleep $interval;
}
exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
