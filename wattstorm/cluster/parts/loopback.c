/* Storm's daemons and workers listen on every interface and have no setting for it. Preloaded,
 * this lets them listen on loopback only: a bind to "any" becomes one to 127.0.0.1.
 *
 *     cc -shared -fPIC -O1 -o loopback.so loopback.c -ldl        (`wattstorm storm up` does it)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *address, socklen_t length) {
    static int (*next)(int, const struct sockaddr *, socklen_t);
    struct sockaddr_storage copy;

    if (!next)
        next = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
    if (!address || length > sizeof copy)
        return next(fd, address, length);
    memcpy(&copy, address, length);
    if (address->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in *in = (struct sockaddr_in *)&copy;
        if (in->sin_addr.s_addr == htonl(INADDR_ANY))
            in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (address->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&copy;
        if (IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
            inet_pton(AF_INET6, "::ffff:127.0.0.1", &in6->sin6_addr);
    }
    return next(fd, (struct sockaddr *)&copy, length);
}
