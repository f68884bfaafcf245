#!/bin/sh
# Creates a client key for a stack and prints it, like `python -m ops client add`: the table stores only its SHA-256.
set -eu

usage() {
    cat <<'EOF'
Usage: ./add-client.sh --client-id ID [--return-origin ORIGIN ...] [--stack-name NAME]

Creates a key for x-api-key and prints it once. Needs the AWS CLI, whose variables (AWS_PROFILE, AWS_REGION) select the
account and the region.

  --client-id ID           the client's id: 1 to 32 of a-z, 0-9 and -
  --return-origin ORIGIN   an origin to which browsers may return, such as https://app.example.com; can be repeated
  --stack-name NAME        default: likeness
EOF
}

fail() {
    echo "add-client.sh: $1" >&2
    exit 1
}

matches() {
    test "$(printf '%s' "$1" | wc -l)" -eq 0 && printf '%s\n' "$1" | LC_ALL=C grep -Eqx "$2"
}

client=
origins=
stack=likeness
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) usage; exit 0 ;;
        --client-id | --return-origin | --stack-name) [ $# -gt 1 ] || fail "$1 needs a value" ;;
        *) usage >&2; fail "$1 is not an option" ;;
    esac
    case $1 in
        --client-id) client=$2 ;;
        --stack-name) stack=$2 ;;
        --return-origin)
            matches "$2" 'https://[a-z0-9.-]+(:[1-9][0-9]*)?' && [ "${2%:443}" = "$2" ] ||
                fail "return origin $2: https://host[:port] in lower case, nothing after it"
            origins="$origins${origins:+,}{\"S\":\"$2\"}"
            ;;
    esac
    shift 2
done
matches "$client" '[a-z0-9-]{1,32}' || fail "--client-id is 1 to 32 of a-z, 0-9 and -"
command -v aws >/dev/null || fail "the AWS CLI is missing: https://aws.amazon.com/cli/"

if command -v sha256sum >/dev/null; then sums=sha256sum; else sums='shasum -a 256'; fi
table=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
    --query "Stacks[0].Outputs[?OutputKey=='TableName'].OutputValue")
key="lk_$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')"
digest=$(printf '%s' "$key" | $sums | cut -d ' ' -f 1)
aws dynamodb put-item --table-name "$table" --condition-expression 'attribute_not_exists(pk)' --item "{
    \"pk\": {\"S\": \"CLIENT_KEYS\"}, \"sk\": {\"S\": \"$digest\"}, \"client_id\": {\"S\": \"$client\"},
    \"key_id\": {\"S\": \"$(printf '%.12s' "$digest")\"}, \"return_origins\": {\"L\": [$origins]},
    \"created_at\": {\"S\": \"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"}}"
echo "$key"
