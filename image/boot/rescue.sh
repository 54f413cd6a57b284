# SPDX-License-Identifier: Apache-2.0
# Neither slot boots. The box stays on the network and says so on its page. Sourced by init.
say "rescue: neither slot boots"
for n in 1 2 3 4 5 6 7 8 9 10; do
    coldplug
    ls /sys/class/net | grep -qv '^lo$' && ENV=$(partition env) && break
    sleep 1
done
[ -n "$ENV" ] && echo "$ENV 0x0 0x200" > /etc/fw_env.config
ifconfig lo 127.0.0.1 up
for path in /sys/class/net/*; do
    name=${path##*/}
    [ "$name" = lo ] && continue
    ifconfig "$name" up
    udhcpc -i "$name" -s /rescue/lease -t 5 -T 3 -A 20 -b -R -x hostname:platen > /dev/null 2>&1 &
done
httpd -p 80 -h /rescue/www
say "rescue: the page is up"
while :; do sleep 3600; done
