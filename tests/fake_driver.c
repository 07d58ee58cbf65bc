/* A CUDA driver with no GPU behind it, which test_backend.py builds as libcuda.so.1:
 *
 *     gcc -shared -fPIC -o libcuda.so.1 fake_driver.c
 *
 * The CUDA runtime inside CuPy finds every driver function by name, through cuGetProcAddress. Here it gets two that
 * answer as the environment says; every other function fails as cuInit does.
 *
 *     FAKE_DRIVER_VERSION    the CUDA version that the driver supports, 12040 for 12.4
 *     FAKE_DRIVER_ERROR      what cuInit returns, 100 for "no device"; never 0, for nothing here can run a kernel
 */
#include <stdlib.h>
#include <string.h>

static int setting(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

int cuDriverGetVersion(int *version)
{
    *version = setting("FAKE_DRIVER_VERSION", 13020);
    return 0;
}

int cuInit(unsigned flags)
{
    (void)flags;
    return setting("FAKE_DRIVER_ERROR", 100);
}

static int any_other(void)
{
    return cuInit(0);
}

int cuGetProcAddress_v2(const char *name, void **function, int version, unsigned long long flags, int *found)
{
    (void)version, (void)flags;
    if (strcmp(name, "cuDriverGetVersion") == 0)
        *function = (void *)cuDriverGetVersion;
    else if (strcmp(name, "cuInit") == 0)
        *function = (void *)cuInit;
    else if (strcmp(name, "cuGetProcAddress") == 0)
        *function = (void *)cuGetProcAddress_v2;
    else
        *function = (void *)any_other;
    if (found)
        *found = 0; /* a function of that name was found */
    return 0;
}
