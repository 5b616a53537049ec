#include "admin/guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct host {
    char name[256]; /* without brackets */
    char port[8];   /* "" when absent */
};

/* Splits "name", "name:80", "[::1]:80". */
static bool split_host(const char *text, struct host *out)
{
    const char *name = text, *end;
    if (*text == '[') {
        name = text + 1;
        end = strchr(name, ']');
        if (!end)
            return false;
        text = end + 1;
    } else {
        end = text = name + strcspn(name, ":");
    }
    size_t len = (size_t)(end - name);
    if (len == 0 || len >= sizeof(out->name) || (*text && *text != ':'))
        return false;
    memcpy(out->name, name, len);
    out->name[len] = '\0';
    const char *port = *text ? text + 1 : "";
    if (strlen(port) >= sizeof(out->port) || port[strspn(port, "0123456789")])
        return false;
    snprintf(out->port, sizeof(out->port), "%s", port);
    return true;
}

static bool is_ip_literal(const char *name)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

bool guard_host(const struct request *q, struct response *r)
{
    struct host host;
    if (!q->bind_loopback || !q->host) /* HTTP/1.0 may leave Host out; browsers never do */
        return true;
    if (split_host(q->host, &host) &&
        (is_ip_literal(host.name) || strcasecmp(host.name, "localhost") == 0 ||
         (*q->bind_host && strcasecmp(host.name, q->bind_host) == 0)))
        return true;
    response_problem(r, 403, "foreign-host",
                     "this address answers to an IP address or localhost in the Host field only");
    return false;
}

static const char *default_port(const char *scheme)
{
    return strcmp(scheme, "https") == 0 ? "443" : "80";
}

static bool same_site(const char *origin, const char *host_text)
{
    struct host from, own;
    const char *sep = strstr(origin, "://");
    if (!sep || !host_text || (size_t)(sep - origin) > 5)
        return false;
    char scheme[8];
    snprintf(scheme, sizeof(scheme), "%.*s", (int)(sep - origin), origin);
    if (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
        return false;
    if (!split_host(sep + 3, &from) || !split_host(host_text, &own))
        return false;
    const char *port = default_port(scheme);
    return strcasecmp(from.name, own.name) == 0 &&
           strcmp(*from.port ? from.port : port, *own.port ? own.port : port) == 0;
}

bool guard_origin(const struct request *q, struct response *r)
{
    if (!q->origin || same_site(q->origin, q->host))
        return true;
    response_problem(r, 403, "foreign-origin",
                     "a page of another site may not change anything here");
    return false;
}

/* The time depends on the length of what was sent, not on where it differs. */
static bool equal_constant_time(const char *secret, const char *sent)
{
    size_t secret_len = strlen(secret), sent_len = strlen(sent);
    unsigned difference = secret_len != sent_len;
    for (size_t i = 0; i < sent_len; i++)
        difference |= (unsigned)(unsigned char)sent[i] ^
                      (unsigned)(unsigned char)secret[i % (secret_len + 1)];
    return difference == 0;
}

bool guard_token(const char *token, const struct request *q, struct response *r)
{
    if (!*token)
        return true;
    const char *sent = q->authorization;
    if (sent && strncasecmp(sent, "Bearer ", 7) == 0) {
        sent += 7;
        sent += strspn(sent, " ");
        if (equal_constant_time(token, sent))
            return true;
    }
    response_problem(r, 401, "token-needed",
                     sent ? "the token is not the right one"
                          : "this needs the admin token: Authorization: Bearer TOKEN");
    response_header(r, "WWW-Authenticate", "Bearer realm=\"ballast\"%s",
                    sent ? ", error=\"invalid_token\"" : "");
    return false;
}
