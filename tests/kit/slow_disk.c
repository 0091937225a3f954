/* A disk whose every flush takes SLOW_DISK_MS (20 if not set), for any program: `make test-slow-disk` preloads it.
 *
 * Flash cards and network disks are like that. A test that judges the disk's speed in place of the product turns red here.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static int after_a_while(const char *name, int file)
{
    const char *told = getenv("SLOW_DISK_MS");
    long ms = told ? atol(told) : 20;
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
}

int fsync(int file) { return after_a_while("fsync", file); }

int fdatasync(int file) { return after_a_while("fdatasync", file); }
