language-name = Español
language-label = Idioma
page-name = Restablecer la contraseña
error-prefix = Error
error-summary = Hay un problema
continue = Continuar
try-again = Intentarlo de nuevo
start-again = Empezar de nuevo
log-in = Iniciar sesión
help = Obtener ayuda
privacy = Privacidad
reference = Si pide ayuda, indique esto: { $id }

start-title = Restablezca su contraseña
start-lead = Escriba su usuario. Si los datos son correctos, recibirá un código por correo electrónico.
login-label = Usuario o correo electrónico
login-empty = Escriba su usuario
login-malformed = Revise su usuario: contiene un carácter que ningún usuario tiene, o es demasiado largo

question-title = Su pregunta secreta
question-lead = Eligió esta pregunta cuando abrió su cuenta.
answer-label = Su respuesta
answer-empty = Escriba su respuesta
answer-wrong = Esta respuesta no es correcta. Inténtelo de nuevo
answer-too-long = Esta respuesta es demasiado larga

code-title = Revise su correo electrónico
code-lead = Si los datos son correctos, hay un código en camino al correo electrónico de su cuenta.
code-again = Si los datos son correctos, hay un código nuevo en camino. Use el más reciente.
code-label = Código del correo electrónico
code-hint =
    { $digits ->
        [one] { $digits } cifra. Puede pegarlo.
       *[other] { $digits } cifras. Puede pegarlo.
    }
code-malformed =
    { $digits ->
        [one] Escriba la cifra del código
       *[other] Escriba las { $digits } cifras del código
    }
code-wrong = Este código no es correcto. Revíselo o pida uno nuevo
time-limit =
    { $minutes ->
        [one] Esta página es válida durante { $minutes } minuto.
       *[other] Esta página es válida durante { $minutes } minutos.
    }
time-short = Quedan dos minutos. Elija «{ more-time }» si necesita más.
more-time = Necesito más tiempo
no-mail = ¿No llega el correo?
no-mail-wait = Puede tardar unos minutos. Mire también en la carpeta de correo no deseado.
no-mail-login = Escribió «{ $login }». Si no es su usuario, empiece de nuevo.
send-again = Enviar un código nuevo

password-title = Elija una contraseña nueva
password-advice =
    { $characters ->
        [one] Use { $characters } carácter o más. Unas palabras sin relación entre sí son fáciles de recordar y difíciles de adivinar.
       *[other] Use { $characters } caracteres o más. Unas palabras sin relación entre sí son fáciles de recordar y difíciles de adivinar.
    }
password-label = Contraseña nueva
password-again = La contraseña nueva otra vez
password-show = Mostrar la contraseña
password-hide = Ocultar la contraseña
password-more =
    { $characters ->
        [one] { $characters } carácter más
       *[other] { $characters } caracteres más
    }
password-enough = Longitud suficiente
password-set = Guardar la contraseña
password-too-short =
    { $characters ->
        [one] Elija una contraseña de { $characters } carácter o más
       *[other] Elija una contraseña de { $characters } caracteres o más
    }
password-too-long = Elija una contraseña más corta
password-easy = Esta contraseña es de las primeras que alguien probaría. Elija unas palabras sin relación entre sí
password-named = Esta contraseña es poco más que su usuario o nuestro nombre. Elija unas palabras sin relación entre sí
passwords-differ = Las dos contraseñas no son iguales
password-refused = La contraseña no fue aceptada:
password-not-accepted = La contraseña no fue aceptada. Elija otra

done-title = Su contraseña está guardada
done-lead = Ya puede iniciar sesión con ella.

wait-minutes =
    { $minutes ->
        [one] Inténtelo de nuevo dentro de { $minutes } minuto.
       *[other] Inténtelo de nuevo dentro de { $minutes } minutos.
    }
limits-title = Demasiados intentos
limits-lead = Para proteger las cuentas, aceptamos un número limitado cada cierto tiempo.
later-title = Ahora no es posible restablecer la contraseña
later-lead = No es culpa suya, y no se ha cambiado nada.
codes-title = Ahora no se aceptan códigos
codes-lead = Su código no se ha probado y sigue siendo válido.
ended-title = Este proceso ha terminado
ended-lead = Estuvo abierto demasiado tiempo o terminó en otra ventana. Si ya guardó una contraseña nueva, inicie sesión con ella.
unknown-title = No sabemos si ha funcionado
unknown-mail = Puede haber un código en camino. Espere unos minutos y mire su correo antes de empezar de nuevo.
enter-code = Escribir el código
unknown-password = Intente iniciar sesión con la contraseña nueva. Si no funciona, empiece de nuevo.
cookies-title = Su navegador no guarda cookies de esta página
cookies-lead = Permítalas para esta página y empiece de nuevo. Separan su proceso de otros y desaparecen al cabo de un día como máximo.
other-site-title = Este formulario procede de otra página
other-site-lead = Para proteger las cuentas, solo aceptamos formularios de nuestra propia página. Empiece de nuevo aquí.
other-window-title = Ha iniciado otro proceso después
other-window-lead = Siga en la ventana más reciente o empiece de nuevo.
not-found-title = Esta página no existe
not-found-lead = Revise la dirección o empiece de nuevo.
too-long-title = Lo que escribió es demasiado largo
too-long-lead = Revíselo y empiece de nuevo.
broken-title = Algo ha fallado aquí
broken-lead = No es culpa suya. Empiece de nuevo.
