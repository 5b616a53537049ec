#include "conf/types.h"

#include <assert.h>
#include <string.h>

const struct conf_type conf_types[CONF_T_COUNT] = {
    [CONF_T_LATER] = {NULL, NODE_STRING, NULL, NULL},
    [CONF_T_GROUP] = {NULL, NODE_GROUP, NULL, write_group},
    [CONF_T_STRING] = {"string", NODE_STRING, value_read_string, write_string},
    [CONF_T_PATH] = {"path", NODE_STRING, value_read_path, write_string},
    [CONF_T_URI_PATH] = {"string", NODE_STRING, value_read_uri_path, write_string},
    [CONF_T_HOST] = {"string", NODE_STRING, value_read_host, write_string},
    [CONF_T_HASH_KEY] = {"`client_ip`, `uri`, `path`, `host`, `header:NAME`, `cookie:NAME`",
                         NODE_STRING, value_read_hash_key, write_string},
    [CONF_T_NAME] = {"string", NODE_STRING, value_read_name, write_string},
    [CONF_T_LOG_TARGET] = {"string", NODE_STRING, value_read_log_target, write_string},
    [CONF_T_USER] = {"string", NODE_STRING, value_read_user, write_string},
    [CONF_T_SYSTEM_GROUP] = {"string", NODE_STRING, value_read_system_group, write_string},
    [CONF_T_TOKEN_FILE] = {"path", NODE_STRING, value_read_token_file, write_string},
    [CONF_T_NUMBER] = {"number", NODE_NUMBER, value_read_number, write_number},
    [CONF_T_FACTOR] = {"number", NODE_NUMBER, value_read_factor, write_factor},
    [CONF_T_BOOL] = {"boolean", NODE_BOOL, value_read_bool, write_bool},
    [CONF_T_DURATION] = {"duration", NODE_STRING, value_read_duration, write_duration},
    [CONF_T_SIZE] = {"size", NODE_STRING, value_read_size, write_size},
    [CONF_T_ENUM] = {"name", NODE_STRING, value_read_enum, write_enum},
    [CONF_T_CHOICE] = {"name", NODE_STRING, value_read_choice, write_string},
    [CONF_T_WORKERS] = {"number or `\"auto\"`", NODE_STRING, value_read_workers, write_workers},
    [CONF_T_BINDS] = {"address or list", NODE_STRING, value_read_binds, write_binds},
    [CONF_T_CIDRS] = {"list of networks", NODE_ARRAY, value_read_cidrs, write_cidrs},
    [CONF_T_EXPECT] = {"string or list", NODE_STRING, value_read_expect, write_expect},
    [CONF_T_BYTES] = {"string", NODE_STRING, value_read_bytes, write_bytes},
    [CONF_T_PAIRS] = {"list of (name, value)", NODE_LIST, value_read_pairs, write_pairs},
    [CONF_T_CA_FILE] = {"path", NODE_STRING, value_read_ca_file, write_string},
    [CONF_T_RESOLVERS] = {"list of addresses", NODE_LIST, value_read_resolvers, write_resolvers},
    [CONF_T_HEALTH] = {"group", NODE_GROUP, health_read_override, health_write_override},
    [CONF_T_FAILURES] = {"name, status or list", NODE_STRING, value_read_failures, write_failures},
    [CONF_T_PERCENT] = {"percentage", NODE_STRING, value_read_percent, write_percent},
    [CONF_T_STICKY] = {"group or `\"off\"`", NODE_GROUP, object_read_sticky, write_breaker},
    [CONF_T_BREAKER] = {"group or `\"off\"`", NODE_GROUP, object_read_breaker, write_breaker},
    [CONF_T_POOL] = {"name of a pool", NODE_STRING, object_read_pool, write_pool},
    [CONF_T_ADDRESS] = {"address", NODE_STRING, object_read_address, write_string},
    [CONF_T_ADMIN] = {"group or `\"off\"`", NODE_GROUP, object_read_admin, write_admin},
    [CONF_T_DEFAULTS] = {"group", NODE_GROUP, object_read_defaults, NULL},
    [CONF_T_LISTENERS] = {"groups by name", NODE_GROUP, object_read_listeners, write_listeners},
    [CONF_T_POOLS] = {"groups by name", NODE_GROUP, object_read_pools, write_pools},
    [CONF_T_ACCESS_LOG] = {"group or `\"off\"`", NODE_GROUP, access_read_log, access_write_log},
    [CONF_T_ACCESS_TARGET] = {"`auto`, `stdout`, `stderr`, `syslog` or a path", NODE_STRING,
                              access_read_target, write_string},
    [CONF_T_CACHE] = {"group or `\"off\"`", NODE_GROUP, object_read_cache, write_cache},
    [CONF_T_CACHE_VALID] = {"string or list", NODE_STRING, value_read_cache_valid,
                            write_cache_valid},
    [CONF_T_RATE] = {"rate", NODE_STRING, rate_read_rate, rate_write_rate},
    [CONF_T_RATE_KEY] =
        {"`client_ip`, `global`, `uri`, `path`, `host`, `header:NAME`, `cookie:NAME`", NODE_STRING,
         value_read_rate_key, write_string},
    [CONF_T_RATE_LIMITS] = {"group or list", NODE_LIST, rate_read_limits, rate_write_limits},
    [CONF_T_SNI] = {"list of groups", NODE_LIST, object_read_sni, write_sni},
    [CONF_T_SNI_HOST] = {"host", NODE_STRING, value_read_sni_host, write_string},
    [CONF_T_SNI_ALPN] = {"string or list", NODE_STRING, value_read_sni_alpn, write_sni_alpn},
    [CONF_T_TLS] = {"group", NODE_GROUP, object_read_tls, write_optional},
    [CONF_T_POOL_TLS] = {"group", NODE_GROUP, object_read_pool_tls, write_optional},
    [CONF_T_CERTIFICATES] = {"list of groups", NODE_LIST, object_read_certificates,
                             write_certificates},
    [CONF_T_ALPN] = {"list of names", NODE_ARRAY, value_read_alpn, write_texts},
    [CONF_T_BACKENDS] = {"list", NODE_LIST, object_read_backends, write_backends},
    [CONF_T_HOSTS] = {"string or list", NODE_STRING, value_read_hosts, write_strings},
    [CONF_T_PATHS] = {"string or list", NODE_STRING, value_read_paths, write_strings},
    [CONF_T_REGEX] = {"string", NODE_STRING, value_read_regex, write_string},
    [CONF_T_METHODS] = {"list of strings", NODE_ARRAY, value_read_methods, write_strings},
    [CONF_T_NAMES] = {"list of names", NODE_ARRAY, value_read_names, write_strings},
    [CONF_T_NAMED] = {"list of pairs", NODE_LIST, value_read_named, write_named},
    [CONF_T_NAMED_FIELDS] = {"list of pairs", NODE_LIST, value_read_named_fields, write_named},
    [CONF_T_FIELDS] = {"list of pairs", NODE_LIST, value_read_fields, write_named},
    [CONF_T_FIELD_NAMES] = {"list of names", NODE_ARRAY, value_read_field_names, write_strings},
    [CONF_T_FIELD_VALUE] = {"string", NODE_STRING, value_read_field_value, write_string},
    [CONF_T_TEXT] = {"string", NODE_STRING, value_read_text, write_string},
    [CONF_T_STATUSES] = {"string or list", NODE_STRING, value_read_statuses, write_statuses},
    [CONF_T_AUTH] = {"group", NODE_GROUP, auth_read, auth_write},
    [CONF_T_HTPASSWD] = {"path", NODE_STRING, value_read_htpasswd, write_string},
    [CONF_T_JWKS] = {"path", NODE_STRING, value_read_jwks, write_string},
    [CONF_T_JWT_SECRET] = {"path", NODE_STRING, value_read_jwt_secret, write_string},
    [CONF_T_JWT_ALGORITHMS] = {"list of names", NODE_ARRAY, value_read_jwt_algorithms,
                               write_strings},
    [CONF_T_COMPRESSION] = {"group or `\"off\"`", NODE_GROUP, compress_read, compress_write},
    [CONF_T_CODINGS] = {"string or list", NODE_STRING, value_read_codings, write_strings},
    [CONF_T_MEDIA_TYPES] = {"string or list", NODE_STRING, value_read_media_types, write_strings},
    [CONF_T_PAGE] = {"path", NODE_STRING, value_read_page, write_string},
    [CONF_T_CONDITIONS] = {"groups by name", NODE_GROUP, route_read_conditions, write_conditions},
    [CONF_T_ROUTES] = {"list", NODE_LIST, route_read_routes, write_routes},
    [CONF_T_SPLIT] = {"list", NODE_LIST, route_read_split, write_split},
    [CONF_T_ERROR_PAGES] = {"list", NODE_LIST, route_read_pages, write_error_pages},
};

uint64_t types_get(const void *field, uint32_t width)
{
    uint64_t value = 0;
    assert(width <= sizeof value);
    memcpy(&value, field, width); /* little endian: the low bytes come first */
    return value;
}

void types_set(void *field, uint32_t width, uint64_t value)
{
    assert(width <= sizeof value);
    memcpy(field, &value, width);
}
