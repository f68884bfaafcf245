// The texts of the person's page in simplified Chinese, English and traditional Chinese. `{name}` is a placeholder.

export const LANGUAGES = { zh: "简体中文", en: "English", "zh-Hant": "繁體中文" };

/** key → [zh, en, zh-Hant] */
const TEXTS = {
  title: ["真人验证", "Face check", "真人驗證"],
  language: ["语言", "Language", "語言"],
  steps: ["步骤", "Steps", "步驟"],
  step_consent: ["授权", "Consent", "授權"],
  step_check: ["真人验证", "Face check", "真人驗證"],
  step_files: ["上传文件", "Files", "上傳檔案"],
  step_done: ["已完成", "done", "已完成"],
  loading: ["请稍候…", "One moment…", "請稍候…"],

  asked_by: ["由{name}发起", "{name} asks you for this", "由{name}發起"],
  operator: ["本服务的运营方", "The operator of this service", "本服務的營運方"],
  privacy: ["隐私政策", "Privacy", "隱私權政策"],

  consent_heading: ["首先，请您授权", "First, your consent", "首先，請您授權"],
  consent_lead: [
    "请阅读以下内容。在您同意之前，什么都不会开始。",
    "Please read this. Nothing starts before you agree.",
    "請閱讀以下內容。在您同意之前，什麼都不會開始。",
  ],
  consent_version: ["版本 {version}", "Version {version}", "版本 {version}"],
  consent_agree: ["我已阅读并同意以上内容。", "I have read this and I agree.", "我已閱讀並同意以上內容。"],
  consent_continue: ["继续", "Continue", "繼續"],
  consent_saving: ["正在保存…", "Saving…", "正在儲存…"],
  consent_decline: ["我不同意", "I do not agree", "我不同意"],
  declined_heading: ["您选择了不同意", "You did not agree", "您選擇了不同意"],
  declined: [
    "没有采集您的任何影像，也没有保存您的任何文件。我们只记录了您不同意这件事，发送链接的一方可以看到。",
    "No picture or recording of you was taken, and no file was stored. We only recorded that you did not agree; the " +
      "sender of the link can see this.",
    "沒有採集您的任何影像，也沒有儲存您的任何檔案。我們只記錄了您不同意這件事，發送連結的一方可以看到。",
  ],
  declined_contact: [
    "如有疑问，请联系发送链接给您的一方。如果改变主意，可以随时重新阅读并同意。",
    "If you have questions, please contact the sender of the link. If you change your mind, you can read the text " +
      "again and agree.",
    "如有疑問，請聯絡發送連結給您的一方。如果改變主意，可以隨時重新閱讀並同意。",
  ],
  withdrawn_heading: ["您的授权已撤回", "Your consent is withdrawn", "您的授權已撤回"],
  withdrawn: [
    "从现在起，不会再使用您的肖像，也不会再发送任何文件。",
    "Your likeness is not used from now on, and no further file is sent.",
    "從現在起，不會再使用您的肖像，也不會再傳送任何檔案。",
  ],
  withdrawn_again: [
    "如果改变主意，可以重新阅读并再次同意。",
    "If you change your mind, you can read the text and agree again.",
    "如果改變主意，可以重新閱讀並再次同意。",
  ],
  consent_new_terms: [
    "以下是新的使用范围。在您同意之前，您之前的授权继续有效。",
    "You are asked for other terms. Your earlier consent holds until you agree.",
    "以下是新的使用範圍。在您同意之前，您之前的授權繼續有效。",
  ],
  consent_ended: [
    "您之前的授权已到期。",
    "Your earlier consent has ended.",
    "您之前的授權已到期。",
  ],
  consent_keep: ["保留之前的授权", "Keep my earlier consent", "保留之前的授權"],
  declined_again: ["重新阅读", "Read it again", "重新閱讀"],
  consent_changed: [
    "您阅读期间，授权内容已更新。以下是新的内容，请重新阅读并勾选同意。",
    "The text changed while you were reading. Please read the new text below and agree again.",
    "您閱讀期間，授權內容已更新。以下是新的內容，請重新閱讀並勾選同意。",
  ],
  consent_needed: [
    "开始之前，我们需要您的同意。",
    "We need your consent before the check can start.",
    "開始之前，我們需要您的同意。",
  ],
  consent_given: [
    "您已于{date}同意授权（版本 {version}）。",
    "You gave your consent on {date} (version {version}).",
    "您已於{date}同意授權（版本 {version}）。",
  ],
  consent_on_record: [
    "您的授权已于{date}记录在案（版本 {version}）。",
    "Your consent of {date} is on record (version {version}).",
    "您的授權已於{date}記錄在案（版本 {version}）。",
  ],

  ready_heading: ["准备好进行真人验证了吗？", "Ready for the face check?", "準備好進行真人驗證了嗎？"],
  ready_lead: [
    "看着摄像头，按提示操作即可，用时不到一分钟。",
    "Look into the camera and do what it asks. It takes less than a minute.",
    "看著鏡頭，按提示操作即可，用時不到一分鐘。",
  ],
  tips: ["这样更容易通过", "Tips", "這樣更容易通過"],
  tip_light: ["光线充足，照亮脸部", "Good light on your face", "光線充足，照亮臉部"],
  tip_alone: ["画面里只有您一个人", "Only your face in the picture", "畫面裡只有您一個人"],
  tip_bare: ["不戴口罩、墨镜和帽子", "No mask, no sunglasses, no hat", "不戴口罩、墨鏡和帽子"],
  sign_in: [
    "验证页面可能会请您登录账号，请在验证前准备好。",
    "The face check may ask you to sign in to an account. Please have your sign-in ready.",
    "驗證頁面可能會請您登入帳號，請在驗證前準備好。",
  ],
  start_minutes: [
    "点击后，验证链接两分钟内有效。",
    "Once you press the button, the link works for two minutes.",
    "點擊後，驗證連結兩分鐘內有效。",
  ],
  start: ["开始真人验证", "Start the face check", "開始真人驗證"],
  start_here: ["在这台电脑上开始", "Start on this computer", "在這台電腦上開始"],
  starting: ["正在打开…", "Opening…", "正在開啟…"],
  start_wait: ["{seconds} 秒后可重试", "Try again in {seconds} s", "{seconds} 秒後可重試"],

  phone_heading: ["用手机更方便", "Easier on your phone", "用手機更方便"],
  phone_lead: [
    "用手机相机扫描二维码，即可在手机上继续。本页面会自动同步。",
    "Scan this code with your phone's camera and continue there. This page updates automatically.",
    "用手機相機掃描 QR 碼，即可在手機上繼續。本頁面會自動同步。",
  ],
  phone_code: ["您的邀请链接二维码", "QR code of your invite link", "您的邀請連結 QR 碼"],
  phone_private: [
    "二维码仅供您本人使用，请勿分享。",
    "This code is for you only. Please do not share it.",
    "QR 碼僅供您本人使用，請勿分享。",
  ],

  in_app: [
    "您正在应用内的浏览器中查看此页面，它可能无法打开摄像头。请在手机的浏览器（如 Safari 或 Chrome）中打开此链接。",
    "You opened this page inside another app. It may not be able to use your camera. Please open the link in your " +
      "browser, such as Safari or Chrome.",
    "您正在應用程式內的瀏覽器中檢視此頁面，它可能無法開啟相機。請在手機的瀏覽器（如 Safari 或 Chrome）中開啟此連結。",
  ],
  no_camera: [
    "此浏览器无法使用摄像头。请在手机的浏览器（如 Safari 或 Chrome）中打开此链接。",
    "This browser cannot use a camera. Please open the link in another browser on your phone, such as Safari or Chrome.",
    "此瀏覽器無法使用相機。請在手機的瀏覽器（如 Safari 或 Chrome）中開啟此連結。",
  ],
  copy_link: ["复制链接", "Copy the link", "複製連結"],
  copied: [
    "已复制。请粘贴到浏览器的地址栏中。",
    "Copied. Paste it into the address bar of your browser.",
    "已複製。請貼到瀏覽器的網址列中。",
  ],
  copy_this: ["请复制此链接：", "Please copy this link:", "請複製此連結："],
  open_browser: ["在浏览器中打开", "Open in your browser", "在瀏覽器中開啟"],

  open_heading_here: ["真人验证已打开", "Your face check is open", "真人驗證已開啟"],
  open_here: [
    "您在完成之前返回了此页面。在剩余时间内可以继续验证。",
    "You came back before it was finished. You can continue until the time is up.",
    "您在完成之前返回了此頁面。在剩餘時間內可以繼續驗證。",
  ],
  open_heading: ["真人验证正在进行", "The face check is in progress", "真人驗證正在進行"],
  open_elsewhere: [
    "验证是在另一个页面或设备上打开的。完成后，本页面会自动继续。",
    "It was opened on another page or device. When it is done, this page continues automatically.",
    "驗證是在另一個頁面或裝置上開啟的。完成後，本頁面會自動繼續。",
  ],
  open_left: ["链接剩余有效时间", "The link still works for", "連結剩餘有效時間"],
  open_go: ["返回真人验证", "Back to the face check", "返回真人驗證"],
  open_again: ["用新链接重新开始", "Start again with a new link", "用新連結重新開始"],
  open_again_here: ["找不到了？在这里重新开始", "Can't find it? Start again here", "找不到了？在這裡重新開始"],
  open_costs: ["重新开始会多用一次机会。", "Starting again uses one more attempt.", "重新開始會多用一次機會。"],

  attempt_failed_heading: ["这次没有通过", "That did not work", "這次沒有通過"],
  attempt_failed: [
    "真人验证没有通过。别担心，请留意以下几点再试一次。",
    "You did not pass the face check. Please try again with these tips.",
    "真人驗證沒有通過。別擔心，請留意以下幾點再試一次。",
  ],
  attempt_canceled_heading: ["验证已取消", "The check was canceled", "驗證已取消"],
  attempt_canceled: [
    "这次验证没有完成就结束了。准备好后，可以重新开始。",
    "It ended before it was complete. You can start again when you are ready.",
    "這次驗證沒有完成就結束了。準備好後，可以重新開始。",
  ],
  link_expired_heading: ["链接已过期", "The link has expired", "連結已過期"],
  link_expired: [
    "为了安全，每个验证链接只在两分钟内有效。准备好后，用新链接再试一次。",
    "For your security, each link works for two minutes. When you are ready, try again with a new link.",
    "為了安全，每個驗證連結只在兩分鐘內有效。準備好後，用新連結再試一次。",
  ],
  link_undecided: [
    "如果您仍在验证过程中，请继续完成，本页面会自动更新。",
    "Still taking the check? Please finish it. This page updates automatically.",
    "如果您仍在驗證過程中，請繼續完成，本頁面會自動更新。",
  ],
  result_lost_heading: ["请再做一次验证", "Please take the check again", "請再做一次驗證"],
  result_lost: [
    "您已通过验证，但结果在传输中丢失了。这不是您的问题，抱歉。",
    "You passed, but the result was lost on its way to us. We are sorry: this was not your fault.",
    "您已通過驗證，但結果在傳輸中遺失了。這不是您的問題，抱歉。",
  ],
  result_unavailable_heading: ["请再做一次验证", "Please take the check again", "請再做一次驗證"],
  result_unavailable: [
    "验证服务没有及时给出结果。这不是您的问题，请再试一次。",
    "The verification service did not return the result in time. This was not your fault. Please try again.",
    "驗證服務沒有及時給出結果。這不是您的問題，請再試一次。",
  ],
  retry: ["再试一次", "Try again", "再試一次"],
  attempts_left: ["还可以再试 {count} 次。", "{count} attempts left.", "還可以再試 {count} 次。"],
  attempts_left_one: ["这是最后一次机会。", "This is the last attempt.", "這是最後一次機會。"],
  spent_heading: ["验证次数已用完", "No attempts are left", "驗證次數已用完"],
  spent: [
    "此邀请的验证次数已全部用完。请联系发送链接给您的一方，可以请对方发送新的邀请。",
    "You have used all attempts of this invitation. Please ask the sender of the link: they can send a new one.",
    "此邀請的驗證次數已全部用完。請聯絡發送連結給您的一方，可以請對方發送新的邀請。",
  ],

  waiting_heading: ["验证完成，正在获取结果…", "Check complete. Getting the result…", "驗證完成，正在取得結果…"],
  waiting: [
    "通常只需几秒钟，请保持页面打开。",
    "This takes a few seconds. You can leave this page open.",
    "通常只需幾秒鐘，請保持頁面開啟。",
  ],
  waiting_long: [
    "比平时久了一些。您可以关闭页面，稍后用同一链接回来，什么都不会丢失。",
    "This is taking longer than usual. You can close this page and return later with the same link: nothing is lost.",
    "比平時久了一些。您可以關閉頁面，稍後用同一連結回來，什麼都不會遺失。",
  ],

  files_heading: ["验证通过！请添加您的文件", "You passed! Now add your files", "驗證通過！請新增您的檔案"],
  files_heading_left: ["还需要 {count} 个文件", "{count} more files needed", "還需要 {count} 個檔案"],
  files_heading_left_one: ["还需要 1 个文件", "1 more file needed", "還需要 1 個檔案"],
  files_heading_sending: ["正在上传…", "Uploading…", "正在上傳…"],
  files_heading_checking: ["正在检查您的文件", "We are checking your files", "正在檢查您的檔案"],
  files_heading_problems: ["有文件无法使用", "Not every file can be used", "有檔案無法使用"],
  files_heading_ready: ["您的文件已就绪", "Your files are ready", "您的檔案已就緒"],
  files_heading_finished: ["全部完成，谢谢！", "All done, thank you!", "全部完成，謝謝！"],
  files_heading_finished_checking: ["谢谢，我们正在检查文件", "Thank you! We are checking your files", "謝謝，我們正在檢查檔案"],
  files_heading_finished_problems: ["谢谢，但有文件无法使用", "Thank you, but not every file can be used", "謝謝，但有檔案無法使用"],
  files_lead: [
    "请上传您本人的照片、视频或录音，画面中只能有您一个人。",
    "Add photos, videos or recordings of yourself only, without other people.",
    "請上傳您本人的照片、影片或錄音，畫面中只能有您一個人。",
  ],
  files_lead_asked: [
    "请逐一提供下面的文件，画面中只能有您一个人。",
    "Please send the files below. They must show only you.",
    "請逐一提供下面的檔案，畫面中只能有您一個人。",
  ],
  files_lead_sending: [
    "上传完成之前，请不要关闭此页面。",
    "Please keep this page open until the upload is complete.",
    "上傳完成之前，請不要關閉此頁面。",
  ],
  files_lead_checking: [
    "通常不到一分钟，您不必等待。没有其他文件的话，请点“我已完成”。",
    "This usually takes less than a minute, and you need not wait. If you have nothing to add, press “I am finished”.",
    "通常不到一分鐘，您不必等待。沒有其他檔案的話，請點「我已完成」。",
  ],
  files_lead_problems: [
    "请更换或移除下面标出的文件。",
    "Please replace or remove the files that are marked below.",
    "請更換或移除下面標出的檔案。",
  ],
  files_lead_ready: [
    "没有其他文件的话，请点“我已完成”。也可以继续添加。",
    "If you have nothing to add, press “I am finished”. You can also add more files.",
    "沒有其他檔案的話，請點「我已完成」。也可以繼續新增。",
  ],
  files_lead_finished: [
    "您可以关闭此页面，无需再做任何操作。",
    "You can close this page. Nothing more is needed from you.",
    "您可以關閉此頁面，無需再做任何操作。",
  ],
  files_lead_finished_checking: [
    "您可以关闭此页面，也可以稍后回来查看结果。",
    "You can close this page, or come back later to see the result.",
    "您可以關閉此頁面，也可以稍後回來查看結果。",
  ],
  files_lead_finished_problems: [
    "您可以更换下面标出的文件，也可以直接关闭此页面。",
    "You can replace the files that are marked below, or close this page.",
    "您可以更換下面標出的檔案，也可以直接關閉此頁面。",
  ],
  finish: ["我已完成", "I am finished", "我已完成"],
  finishing: ["正在提交…", "One moment…", "正在提交…"],
  finish_without: ["不再补充，直接结束", "Finish without the missing files", "不再補充，直接結束"],
  finish_empty: ["不提供文件，直接结束", "Finish without sending files", "不提供檔案，直接結束"],
  finish_missing: [
    "还缺少：{names}。确定现在结束吗？",
    "Still missing: {names}. Finish anyway?",
    "還缺少：{names}。確定現在結束嗎？",
  ],
  finish_nothing: [
    "您还没有提供任何文件。确定现在结束吗？",
    "You have not sent any files. Finish anyway?",
    "您還沒有提供任何檔案。確定現在結束嗎？",
  ],
  comma: ["、", ", ", "、"],
  finish_yes: ["结束", "Finish", "結束"],
  finish_no: ["返回", "Go back", "返回"],
  finish_more: ["继续添加文件", "Add more files", "繼續新增檔案"],
  places: ["需要您提供的文件", "Requested files", "需要您提供的檔案"],
  kind_Image: ["照片", "Photo", "照片"],
  kind_Video: ["视频", "Video", "影片"],
  kind_Audio: ["录音", "Recording", "錄音"],
  needed: ["{kind}，必需", "{kind}, needed", "{kind}，必需"],
  optional: ["{kind}，可选", "{kind}, optional", "{kind}，選填"],
  not_sent: ["未提供", "Not sent", "未提供"],
  more: ["添加文件", "Add files", "新增檔案"],
  more_other: ["其他文件", "Something else", "其他檔案"],
  drop: ["将文件拖到这里，或", "Drag files here, or", "將檔案拖到這裡，或"],
  choose_files: ["选择文件", "Choose files", "選擇檔案"],
  choose_file: ["选择文件", "Choose a file", "選擇檔案"],
  choose_for: ["为“{name}”选择文件", "Choose a file for {name}", "為「{name}」選擇檔案"],
  photo: ["拍照", "Take a photo", "拍照"],
  photo_for: ["为“{name}”拍照", "Take a photo for {name}", "為「{name}」拍照"],
  limit_Image: [
    "照片：JPEG、PNG、WebP、HEIC 等，小于 {size}，边长 {min} 至 {max} 像素",
    "Photos: JPEG, PNG, WebP, HEIC and others, under {size}, {min} to {max} pixels a side",
    "照片：JPEG、PNG、WebP、HEIC 等，小於 {size}，邊長 {min} 至 {max} 像素",
  ],
  limit_Video: [
    "视频：MP4 或 MOV，{least} 至 {most} 秒，不超过 {size}，宽 × 高 {few} 至 {many} 像素",
    "Videos: MP4 or MOV, {least} to {most} seconds, up to {size}, width × height {few} to {many} pixels",
    "影片：MP4 或 MOV，{least} 至 {most} 秒，不超過 {size}，寬 × 高 {few} 至 {many} 像素",
  ],
  limit_Audio: [
    "录音：MP3 或 WAV，{least} 至 {most} 秒，不超过 {size}",
    "Recordings: MP3 or WAV, {least} to {most} seconds, up to {size}",
    "錄音：MP3 或 WAV，{least} 至 {most} 秒，不超過 {size}",
  ],
  your_files: ["您的文件", "Your files", "您的檔案"],
  preview: ["{name} 的预览", "Preview of {name}", "{name} 的預覽"],
  progress: ["{name} 的上传进度", "Upload of {name}", "{name} 的上傳進度"],

  state_checking: ["正在查看…", "Checking…", "正在檢視…"],
  state_queued: ["排队中", "Queued", "排隊中"],
  state_sending: ["正在上传 {percent}%", "Uploading {percent} %", "正在上傳 {percent}%"],
  state_paused: ["没有网络，恢复后自动继续", "No connection. Resumes automatically", "沒有網路，恢復後自動繼續"],
  state_sent: ["已上传，正在检查…", "Uploaded, checking…", "已上傳，正在檢查…"],
  state_awaiting_upload: ["等待您的文件", "Waiting for your file", "等待您的檔案"],
  state_uploaded: ["检查通过，等待处理…", "Checked, queued…", "檢查通過，等待處理…"],
  state_submitting: ["正在处理…", "Processing…", "正在處理…"],
  state_processing: ["正在处理…", "Processing…", "正在處理…"],
  state_active: ["已就绪", "Ready", "已就緒"],
  state_failed: ["未能使用", "Cannot be used", "未能使用"],
  state_smaller: ["照片太大，已为您缩小", "Too large, so we made it smaller", "照片太大，已為您縮小"],
  smaller: [
    "原照片为 {before} 像素、{found}，缩小后为 {after} 像素、{now}。要使用缩小后的照片吗？",
    "The photo has {before} pixels and {found}, the smaller one {after} and {now}. Do you want to use it?",
    "原照片為 {before} 像素、{found}，縮小後為 {after} 像素、{now}。要使用縮小後的照片嗎？",
  ],
  use_smaller: ["使用缩小后的照片", "Use the smaller photo", "使用縮小後的照片"],
  use_smaller_for: ["使用缩小后的“{name}”", "Use the smaller photo of {name}", "使用縮小後的「{name}」"],
  state_refused: ["未上传", "Not uploaded", "未上傳"],
  state_broken: ["上传未完成", "Upload failed", "上傳未完成"],
  same_file: ["“{name}”已经在列表中了。", "{name} is already in the list.", "「{name}」已經在清單中了。"],
  again: ["重试", "Try again", "重試"],
  again_for: ["重试“{name}”", "Try again: {name}", "重試「{name}」"],
  other: ["换一个文件", "Choose another file", "換一個檔案"],
  other_for: ["为“{name}”换一个文件", "Choose another file for {name}", "為「{name}」換一個檔案"],
  remove: ["移除", "Remove", "移除"],
  not_removed: ["“{name}”无法移除。", "{name} cannot be removed.", "「{name}」無法移除。"],
  remove_for: ["从列表移除“{name}”", "Remove {name} from the list", "從清單移除「{name}」"],

  empty_file: ["文件是空的。", "The file is empty.", "檔案是空的。"],
  file_too_large: [
    "文件太大。请选择更小的文件。",
    "The file is too large. Please choose a smaller one.",
    "檔案太大。請選擇較小的檔案。",
  ],
  file_too_large_by: [
    "文件有 {found}，最多 {most}。请选择更小的文件。",
    "The file is {found}; the limit is {most}. Please choose a smaller one.",
    "檔案有 {found}，最多 {most}。請選擇較小的檔案。",
  ],
  cannot_shrink: [
    "照片太大，而且此浏览器无法缩小这种照片。请用较低的分辨率重新拍摄，或另存为较小的 JPEG。",
    "The photo is too large, and this browser cannot make it smaller. Please take it with a lower resolution, or save " +
      "it as a smaller JPEG.",
    "照片太大，而且此瀏覽器無法縮小這種照片。請用較低的解析度重新拍攝，或另存為較小的 JPEG。",
  ],
  format_unsupported: [
    "不支持这种文件。请选择 JPEG、PNG、WebP 或 HEIC 照片，MP4 或 MOV 视频，MP3 或 WAV 录音。",
    "This file type is not supported. Please choose a photo (JPEG, PNG, WebP, HEIC), a video (MP4, MOV) or a " +
      "recording (MP3, WAV).",
    "不支援這種檔案。請選擇 JPEG、PNG、WebP 或 HEIC 照片，MP4 或 MOV 影片，MP3 或 WAV 錄音。",
  ],
  type_mismatch: [
    "这里需要另一种文件。",
    "A different type of file is needed here.",
    "這裡需要另一種檔案。",
  ],
  type_mismatch_Image: ["这里需要一张照片。", "A photo is needed here.", "這裡需要一張照片。"],
  type_mismatch_Video: ["这里需要一段视频。", "A video is needed here.", "這裡需要一段影片。"],
  type_mismatch_Audio: ["这里需要一段录音。", "A recording is needed here.", "這裡需要一段錄音。"],
  file_truncated: [
    "文件不完整，请重新上传。",
    "The file is incomplete. Please upload it again.",
    "檔案不完整，請重新上傳。",
  ],
  file_damaged: [
    "文件已损坏，无法读取。请重新导出或录制。",
    "The file is damaged and cannot be read. Please export or record it again.",
    "檔案已損壞，無法讀取。請重新匯出或錄製。",
  ],
  dimensions_out_of_range: [
    "画面尺寸不合适：每边需为 {least} 至 {most} 像素。",
    "The picture has the wrong size: each side must have {least} to {most} pixels.",
    "畫面尺寸不合適：每邊需為 {least} 至 {most} 像素。",
  ],
  dimensions_out_of_range_by: [
    "画面为 {width} × {height} 像素，每边需为 {least} 至 {most} 像素。",
    "It has {width} × {height} pixels; each side must have {least} to {most}.",
    "畫面為 {width} × {height} 像素，每邊需為 {least} 至 {most} 像素。",
  ],
  dimensions_out_of_range_Video: [
    "视频尺寸不合适：每边需为 {least} 至 {most} 像素，宽 × 高需为 {few} 至 {many} 像素。",
    "The video has the wrong size: each side must have {least} to {most} pixels, width × height {few} to {many}.",
    "影片尺寸不合適：每邊需為 {least} 至 {most} 像素，寬 × 高需為 {few} 至 {many} 像素。",
  ],
  pixels_out_of_range_by: [
    "视频为 {width} × {height} 像素，宽 × 高需为 {least} 至 {most} 像素。请用其他分辨率录制或导出。",
    "It has {width} × {height} pixels; width × height must be {least} to {most}. Please use another resolution.",
    "影片為 {width} × {height} 像素，寬 × 高需為 {least} 至 {most} 像素。請用其他解析度錄製或匯出。",
  ],
  aspect_ratio_out_of_range: [
    "画面太窄或太长，请换一张更接近常规比例的。",
    "The image is too narrow or too wide. Please choose one with common proportions.",
    "畫面太窄或太長，請換一張更接近一般比例的。",
  ],
  duration_out_of_range: [
    "时长需为 {least} 至 {most} 秒。",
    "It must be {least} to {most} seconds long.",
    "時長需為 {least} 至 {most} 秒。",
  ],
  duration_out_of_range_by: [
    "时长为 {seconds} 秒，需为 {least} 至 {most} 秒。",
    "It is {seconds} s long; it must be {least} to {most} s.",
    "時長為 {seconds} 秒，需為 {least} 至 {most} 秒。",
  ],
  frame_rate_out_of_range: [
    "视频帧率需为每秒 24 至 60 帧。",
    "The video must have 24 to 60 frames per second.",
    "影片幀率需為每秒 24 至 60 幀。",
  ],
  unexpected_type: [
    "这里需要另一种文件。",
    "A different type of file is needed here.",
    "這裡需要另一種檔案。",
  ],
  content_mismatch: [
    "这不是登记的那个文件，请重新选择。",
    "This is not the file that was registered. Please choose it again.",
    "這不是登記的那個檔案，請重新選擇。",
  ],
  face_mismatch: [
    "文件中的人脸与通过验证的人不一致。请选择您本人的照片或视频。",
    "The face in this file does not match the person who passed the check. Please choose a file that shows you.",
    "檔案中的人臉與通過驗證的人不一致。請選擇您本人的照片或影片。",
  ],
  multiple_faces: [
    "画面中不止一张脸。请选择只有您一个人的文件。",
    "There is more than one face in this file. Please choose one that shows only you.",
    "畫面中不止一張臉。請選擇只有您一個人的檔案。",
  ],
  download_failed: [
    "文件没能传到处理服务，请再试一次。",
    "The file could not be transferred. Please try again.",
    "檔案沒能傳到處理服務，請再試一次。",
  ],
  submission_unknown: [
    "不确定文件是否已送达，请再试一次。",
    "We could not confirm that the file arrived. Please try again.",
    "不確定檔案是否已送達，請再試一次。",
  ],
  activation_timeout: [
    "处理花了太长时间，请再试一次。",
    "Processing took too long. Please try again.",
    "處理花了太長時間，請再試一次。",
  ],
  asset_lost: [
    "这个文件曾经可用，现在失效了，请重新上传。",
    "This file no longer works. Please add it again.",
    "這個檔案曾經可用，現在失效了，請重新上傳。",
  ],
  rejected: [
    "处理服务没有接受这个文件，请换一个。",
    "The file was not accepted. Please choose another one.",
    "處理服務沒有接受這個檔案，請換一個。",
  ],
  upload_refused: [
    "存储服务没有接受这个文件，请再试一次。",
    "The storage did not accept the file. Please try again.",
    "儲存服務沒有接受這個檔案，請再試一次。",
  ],
  upload_unreadable: [
    "无法读取此文件。它可能已被移动或更改，请重新选择。",
    "The file cannot be read. It may have been moved or changed. Please choose it again.",
    "無法讀取此檔案。它可能已被移動或更改，請重新選擇。",
  ],
  too_many_assets: [
    "此邀请不能再添加文件了。",
    "No more files can be added to this invitation.",
    "此邀請不能再新增檔案了。",
  ],

  canceled_heading: ["此邀请已关闭", "This invitation was closed", "此邀請已關閉"],
  canceled: ["您无需再做任何操作。", "Nothing more is needed from you.", "您無需再做任何操作。"],
  redacted_heading: [
    "此邀请及其数据已被删除",
    "This invitation and its data were erased",
    "此邀請及其資料已被刪除",
  ],
  redacted: [
    "您的文件已从本服务中删除，无需再做任何操作。",
    "Your files were deleted from this service. Nothing more is needed from you.",
    "您的檔案已從本服務中刪除，無需再做任何操作。",
  ],
  no_token_heading: ["请通过邀请链接打开", "This page needs your invite link", "請透過邀請連結開啟"],
  no_token: [
    "请打开发送给您的链接。如果您之前在另一个浏览器中打开过，请回到那里。",
    "Please open the link that was sent to you. If you had opened it in another browser, go back there.",
    "請開啟發送給您的連結。如果您之前在另一個瀏覽器中開啟過，請回到那裡。",
  ],
  refused_heading: ["此链接已失效", "This link no longer works", "此連結已失效"],
  refused: [
    "它可能已过期，也可能没有复制完整。请重新打开收到的链接，或向发送方索取新的链接。",
    "It may have expired or be incomplete. Please open it again, or ask the sender for a new one.",
    "它可能已過期，也可能沒有複製完整。請重新開啟收到的連結，或向發送方索取新的連結。",
  ],
  status_requires_input_heading: ["真人验证尚未完成", "The face check is not done yet", "真人驗證尚未完成"],
  status_requires_input: [
    "请回到最初打开邀请链接的页面，在那里可以再试一次。",
    "Please go back to the page where you opened your invite link. You can try again there.",
    "請回到最初開啟邀請連結的頁面，在那裡可以再試一次。",
  ],
  status_processing_heading: ["验证完成，谢谢！", "The check is done, thank you!", "驗證完成，謝謝！"],
  status_processing: [
    "正在获取结果。请回到最初打开邀请链接的页面，它会自动继续。",
    "We are getting the result. Please go back to the page where you opened your invite link: it continues " +
      "automatically.",
    "正在取得結果。請回到最初開啟邀請連結的頁面，它會自動繼續。",
  ],
  status_verified_heading: ["验证通过！", "You passed the check!", "驗證通過！"],
  status_verified: [
    "请回到最初打开邀请链接的页面，在那里添加您的文件。",
    "Please go back to the page where you opened your invite link to add your files.",
    "請回到最初開啟邀請連結的頁面，在那裡新增您的檔案。",
  ],

  offline: [
    "没有网络连接，恢复后会自动继续。",
    "No connection. This page continues automatically when it is back.",
    "沒有網路連線，恢復後會自動繼續。",
  ],
  no_connection: [
    "没有网络连接，请在恢复后再试一次。",
    "There is no connection. Please try again when it is back.",
    "沒有網路連線，請在恢復後再試一次。",
  ],
  timeout: [
    "网络很慢，没有及时收到回复。请再试一次。",
    "The network is slow and the request timed out. Please try again.",
    "網路很慢，沒有及時收到回覆。請再試一次。",
  ],
  trouble: [
    "服务暂时不可用，我们会自动重试。",
    "The service is temporarily unavailable. Retrying…",
    "服務暫時無法使用，我們會自動重試。",
  ],
  failed: [
    "没有成功，请稍后再试。",
    "That did not work. Please try again in a moment.",
    "沒有成功，請稍後再試。",
  ],
  busy: [
    "当前使用的人较多，请稍后再试。",
    "The service is busy. Please try again shortly.",
    "目前使用的人較多，請稍後再試。",
  ],
  detail: ["详情：{message}", "Details: {message}", "詳情：{message}"],
};

const ORDER = Object.keys(LANGUAGES);

/** Returns the first language of `wanted` (BCP 47 tags) that the page supports, else English. */
export function languageOf(wanted) {
  for (const tag of wanted) {
    if (/^zh\b.*\b(hant|tw|hk|mo)\b/i.test(tag)) return "zh-Hant";
    if (/^zh\b/i.test(tag)) return "zh";
    if (/^en\b/i.test(tag)) return "en";
  }
  return "en";
}

/**
 * Returns the texts of one language: `t(key, values)` returns a text, `t.has(key)` whether it exists. `t.size(bytes)`,
 * `t.number(n)` and `t.date(iso)` format values for the language.
 */
export function wordsIn(language) {
  const index = ORDER.indexOf(language);
  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const t = (key, values = {}) =>
    TEXTS[key][index].replace(/\{(\w+)\}/g, (_, name) =>
      typeof values[name] === "number" ? number.format(values[name]) : (values[name] ?? ""),
    );
  t.language = language;
  t.has = (key) => Object.hasOwn(TEXTS, key);
  t.number = (value) => number.format(value);
  t.size = (bytes) =>
    bytes < 1e6 ? `${number.format(Math.ceil(bytes / 1000))}\u00a0KB` : `${number.format(bytes / 1e6)}\u00a0MB`;
  t.date = (iso) => new Intl.DateTimeFormat(language, { dateStyle: "long" }).format(new Date(iso));
  return t;
}

// The texts for some codes of the API. Other codes have the text `failed` and the problem's own text.
const CODES = {
  offline: "no_connection",
  timeout: "timeout",
  throttled: "busy",
  rate_limited: "busy",
};

/** Returns the text for an ApiError, `{ text, detail }`. `detail` is the problem's text, null if `text` is enough. */
export function problemWords(t, error) {
  const known = CODES[error.code];
  if (known) return { text: t(known), detail: null };
  const names = [error.code, error.requestId].filter(Boolean).join(", ");
  return { text: t("failed"), detail: t("detail", { message: `${error.message} (${names})` }) };
}

/**
 * Returns why a file cannot be used. `message` is the server's English text, `values` are this page's measurements
 * (both may be missing), `limit` has the limits of the file's kind.
 */
export function reasonWords(t, code, message, values, limit) {
  if (code === "type_mismatch" && values?.wanted) return t(`type_mismatch_${values.wanted}`);
  if (code === "file_too_large" && values?.bytes > values?.most + 1e6) {
    return t("file_too_large_by", { found: t.size(values.bytes), most: t.size(values.most) });
  }
  if (values?.most && code !== "file_too_large" && t.has(`${code}_by`)) return t(`${code}_by`, values);
  if (code === "rejected" && message && t.language === "en") return message;
  if (!t.has(code)) return `${t("rejected")} ${message ?? ""}`.trim();
  const bounds = { least: limit?.min_side, most: limit?.max_side, few: limit?.min_pixels, many: limit?.max_pixels };
  if (code === "dimensions_out_of_range" && bounds.many) return t("dimensions_out_of_range_Video", bounds);
  return t(code, code === "duration_out_of_range" ? { least: limit?.min_seconds, most: limit?.max_seconds } : bounds);
}
