#!/bin/sh
# Deploys this release: copies its archives to a bucket, and creates or updates the stack with CloudFormation.
set -eu

usage() {
    cat <<'EOF'
Usage: ./deploy.sh --bucket BUCKET [--stack-name NAME] [PARAMETER=VALUE ...] [-- OPTION ...]

Creates or updates the stack. Needs the AWS CLI, whose variables (AWS_PROFILE, AWS_REGION) select the account and the
region.

  --bucket BUCKET       a bucket of yours in the same region, for the archives and the template
                        (aws s3 mb s3://BUCKET creates one)
  --stack-name NAME     default: likeness
  PARAMETER=VALUE       a parameter of template.yaml; other parameters keep their values
  -- OPTION ...         options of `aws cloudformation deploy`, such as --role-arn, --tags or --no-execute-changeset

A new stack needs the account's API key at crun, from the variable CRUN_API_KEY or a prompt. To change the key of a
stack, set CRUN_API_KEY.
EOF
}

fail() {
    echo "deploy.sh: $1" >&2
    exit 1
}

# Prints a JSON string.
quoted() {
    printf '"%s"' "$(printf '%s' "$1" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g')"
}

bucket=
stack=likeness
given=
tab=$(printf '\t')
newline='
'
while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) usage; exit 0 ;;
        --bucket | --stack-name)
            [ $# -gt 1 ] || fail "$1 needs a value"
            if [ "$1" = --bucket ]; then bucket=$2; else stack=$2; fi
            shift 2
            ;;
        --) shift; break ;;
        *"$newline"* | *"$tab"*) fail "a parameter's value must be one line without tabs" ;;
        CrunApiKey=*) fail "other users of this machine can read arguments: set the key in the variable CRUN_API_KEY" ;;
        [A-Za-z]*=*) given="$given$1$newline"; shift ;;
        *) usage >&2; fail "$1 is neither an option nor PARAMETER=VALUE" ;;
    esac
done
[ -n "$bucket" ] || { usage >&2; fail "--bucket is missing"; }
command -v aws >/dev/null || fail "the AWS CLI is missing: https://aws.amazon.com/cli/"
cd "$(dirname "$0")"
export AWS_PAGER=

if command -v sha256sum >/dev/null; then sums=sha256sum; else sums='shasum -a 256'; fi
$sums -c SHA256SUMS >/dev/null || fail "a file does not match its checksum"

parameters=$(sed -n '/^Parameters:/,/^[^ P]/s/^  \([A-Za-z0-9]*\):.*/\1/p' template.yaml)
printf '%s' "$given" | while IFS= read -r each; do
    printf '%s\n' "$parameters" | grep -qx "${each%%=*}" || fail "template.yaml has no parameter ${each%%=*}"
done

aws s3api head-bucket --bucket "$bucket" >/dev/null || fail "the bucket $bucket cannot be reached; aws s3 mb s3://$bucket creates it"

if status=$(aws cloudformation describe-stacks --stack-name "$stack" --query 'Stacks[0].StackStatus' --output text 2>&1); then
    :
else
    case $status in
        *"does not exist"*) status=none ;;
        *) fail "$status" ;;
    esac
fi
key=${CRUN_API_KEY:-}
case $status in
    none | REVIEW_IN_PROGRESS)
        if [ -z "$key" ]; then
            [ -t 0 ] || fail "a new stack needs crun's API key in the variable CRUN_API_KEY"
            printf "crun's API key (not shown): " >&2
            trap 'stty echo' EXIT
            trap 'exit 1' HUP INT TERM
            stty -echo
            IFS= read -r key
            stty echo
            echo >&2
            [ -n "$key" ] || fail "a new stack needs crun's API key"
        fi
        ;;
esac

# The parameters are in a file, because other users of the machine can read a command's arguments.
umask 077
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
{
    printf '['
    printf '%s' "$given" | while IFS= read -r each; do quoted "$each"; printf ',\n'; done
    [ -z "$key" ] || { quoted "CrunApiKey=$key"; printf ',\n'; }
    quoted "ArtifactBucket=$bucket"
    printf ']\n'
} > "$scratch/parameters.json"

aws s3 cp archives "s3://$bucket/likeness/" --recursive --only-show-errors
aws cloudformation deploy --stack-name "$stack" --template-file template.yaml \
    --s3-bucket "$bucket" --s3-prefix likeness --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset \
    --parameter-overrides "file://$scratch/parameters.json" "$@"
aws cloudformation describe-stacks --stack-name "$stack" --output text \
    --query 'Stacks[0].Outputs[].[OutputKey, OutputValue]'
